//! Rewrites a parsed expression into one that counts its steps and that
//! assigns the way jq does.
//!
//! A step is taken wherever an evaluation can branch or begin again: at the
//! start of every definition's body, at every output of `.[]` and after every
//! comma, and in the arguments of folds and calls, which may be evaluated any
//! number of times. Paths like `.a.b` take none and cost what they always did.
//!
//! Assignments become calls of functions that follow one path after another.
//! The engine's own updates differ from jq's: they stop at null, and they
//! cannot go through `try` or `first`.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::path::{Opt, Part, Path};

type Tree<'s> = Term<&'s str>;

/// Holds the right side of an arithmetic assignment. A dash cannot be part of
/// a name that somebody writes.
const OPERAND: &str = "$-operand";
const RIGHT: &str = "$-right";

pub(super) fn definition(def: Def<&str>) -> Def<&str> {
    Def {
        body: counted(term(def.body)),
        ..def
    }
}

fn call<'s>(name: &'s str, arguments: Vec<Tree<'s>>) -> Tree<'s> {
    Term::Call(name, arguments)
}

fn piped<'s>(left: Tree<'s>, right: Tree<'s>) -> Tree<'s> {
    Term::BinOp(Box::new(left), BinaryOp::Pipe(None), Box::new(right))
}

fn bound<'s>(source: Tree<'s>, variable: &'s str, body: Tree<'s>) -> Tree<'s> {
    let pattern = Pattern::Var(variable);
    Term::BinOp(
        Box::new(source),
        BinaryOp::Pipe(Some(pattern)),
        Box::new(body),
    )
}

/// The term, preceded by a step.
fn counted(term: Tree<'_>) -> Tree<'_> {
    piped(call("__step", Vec::new()), term)
}

/// The term as an argument, which may be evaluated again and again.
fn argument(tree: Tree<'_>) -> Tree<'_> {
    let tree = term(tree);
    if is_simple(&tree) {
        tree
    } else {
        counted(tree)
    }
}

/// Whether evaluating a term takes a small, fixed amount of work.
fn is_simple(term: &Tree<'_>) -> bool {
    match term {
        Term::Id | Term::Num(_) | Term::Var(_) | Term::Arr(None) => true,
        Term::Str(_, parts) => !parts.iter().any(|part| matches!(part, StrPart::Term(_))),
        Term::Path(head, path) => {
            is_simple(head)
                && path
                    .0
                    .iter()
                    .all(|(part, _)| matches!(part, Part::Index(index) if is_simple(index)))
        }
        _ => false,
    }
}

/// Whether a term yields exactly one output or fails.
fn is_single(term: &Tree<'_>) -> bool {
    match term {
        Term::Arr(_) => true,
        Term::Neg(term) => is_single(term),
        Term::BinOp(left, BinaryOp::Math(_) | BinaryOp::Cmp(_) | BinaryOp::Pipe(None), right) => {
            is_single(left) && is_single(right)
        }
        other => is_simple(other),
    }
}

#[expect(clippy::boxed_local, reason = "boxes are what trees are made of")]
fn boxed(tree: Box<Tree<'_>>) -> Box<Tree<'_>> {
    Box::new(term(*tree))
}

fn pattern(tree: Pattern<&str>) -> Pattern<&str> {
    match tree {
        Pattern::Var(name) => Pattern::Var(name),
        Pattern::Arr(items) => Pattern::Arr(items.into_iter().map(pattern).collect()),
        Pattern::Obj(entries) => Pattern::Obj(
            entries
                .into_iter()
                .map(|(key, item)| (term(key), pattern(item)))
                .collect(),
        ),
    }
}

pub(super) fn term(tree: Tree<'_>) -> Tree<'_> {
    match tree {
        Term::Id | Term::Num(_) | Term::Break(_) | Term::Var(_) => tree,
        Term::Recurse => call("recurse", Vec::new()),
        Term::Str(format, parts) => Term::Str(
            format,
            parts
                .into_iter()
                .map(|part| match part {
                    StrPart::Term(tree) => StrPart::Term(term(tree)),
                    part => part,
                })
                .collect(),
        ),
        Term::Arr(items) => Term::Arr(items.map(boxed)),
        Term::Obj(entries) => Term::Obj(
            entries
                .into_iter()
                .map(|(key, value)| (term(key), value.map(term)))
                .collect(),
        ),
        Term::Neg(tree) => Term::Neg(boxed(tree)),
        Term::BinOp(left, operator, right) => binary(term(*left), operator, *right),
        Term::Label(name, body) => Term::Label(name, boxed(body)),
        Term::Fold(name, source, variables, arguments) => {
            fold(name, term(*source), pattern(variables), arguments)
        }
        Term::TryCatch(body, handler) => Term::TryCatch(boxed(body), handler.map(boxed)),
        Term::IfThenElse(branches, otherwise) => Term::IfThenElse(
            branches
                .into_iter()
                .map(|(condition, branch)| (term(condition), term(branch)))
                .collect(),
            otherwise.map(boxed),
        ),
        Term::Def(defs, body) => Term::Def(defs.into_iter().map(definition).collect(), boxed(body)),
        Term::Call(name, arguments) => {
            Term::Call(name, arguments.into_iter().map(argument).collect())
        }
        Term::Path(head, path) => path_term(term(*head), path),
    }
}

/// The last output of an update counts, and none counts as null.
fn fold<'s>(
    name: &'s str,
    source: Tree<'s>,
    variables: Pattern<&'s str>,
    arguments: Vec<Tree<'s>>,
) -> Tree<'s> {
    let arguments = arguments
        .into_iter()
        .enumerate()
        .map(|(index, tree)| {
            let single = is_single(&tree);
            let tree = counted(term(tree));
            if name == "reduce" && index == 1 && !single {
                call("__last", vec![tree])
            } else {
                tree
            }
        })
        .collect();
    Term::Fold(name, Box::new(source), variables, arguments)
}

fn binary<'s>(left: Tree<'s>, operator: BinaryOp<&'s str>, right: Tree<'s>) -> Tree<'s> {
    let single = is_single(&right);
    let right = term(right);
    let operand = || Box::new(Term::Var(OPERAND));
    let old = || Box::new(Term::Id);
    match operator {
        BinaryOp::Assign => call("__assign", vec![left, right]),
        BinaryOp::Update => modified(left, right),
        BinaryOp::UpdateMath(math) => {
            let value = Term::BinOp(old(), BinaryOp::Math(math), operand());
            bound(right, OPERAND, modified(left, value))
        }
        BinaryOp::UpdateAlt => {
            let value = Term::BinOp(old(), BinaryOp::Alt, operand());
            bound(right, OPERAND, modified(left, value))
        }
        BinaryOp::Comma => Term::BinOp(Box::new(left), operator, Box::new(counted(right))),
        // The right side varies slower than the left one.
        BinaryOp::Math(_) | BinaryOp::Cmp(_) if !single => bound(
            right,
            RIGHT,
            Term::BinOp(Box::new(left), operator, Box::new(Term::Var(RIGHT))),
        ),
        BinaryOp::Pipe(Some(variables)) => Term::BinOp(
            Box::new(left),
            BinaryOp::Pipe(Some(pattern(variables))),
            Box::new(right),
        ),
        operator => Term::BinOp(Box::new(left), operator, Box::new(right)),
    }
}

fn modified<'s>(paths: Tree<'s>, value: Tree<'s>) -> Tree<'s> {
    call("__modify", vec![paths, counted(value)])
}

/// A step for every element that `.[]` yields.
fn path_term<'s>(head: Tree<'s>, path: Path<Tree<'s>>) -> Tree<'s> {
    let mut whole = head;
    let mut parts: Vec<(Part<Tree<'s>>, Opt)> = Vec::new();
    for (part, optional) in path.0 {
        let part = match part {
            Part::Index(index) => Part::Index(term(index)),
            Part::Range(from, to) => Part::Range(from.map(term), to.map(term)),
        };
        let each = matches!(part, Part::Range(None, None));
        parts.push((part, optional));
        if each {
            let elements = Term::Path(Box::new(whole), Path(std::mem::take(&mut parts)));
            whole = piped(elements, call("__step", Vec::new()));
        }
    }
    if parts.is_empty() {
        whole
    } else {
        Term::Path(Box::new(whole), Path(parts))
    }
}
