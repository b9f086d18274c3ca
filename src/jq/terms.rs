//! Walking over parsed expressions.

use std::collections::HashSet;

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Pattern, Term};
use jaq_core::path::Part;

use super::library::Signature;

/// Calls `visit` with each term directly below `term`.
pub(super) fn below<'t, 's>(term: &'t Term<&'s str>, visit: &mut dyn FnMut(&'t Term<&'s str>)) {
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) => {}
        Term::Str(_, parts) => {
            for part in parts {
                if let StrPart::Term(term) = part {
                    visit(term);
                }
            }
        }
        Term::Arr(items) => items.iter().for_each(|items| visit(items)),
        Term::Obj(entries) => {
            for (key, value) in entries {
                visit(key);
                value.iter().for_each(&mut *visit);
            }
        }
        Term::Neg(term) | Term::Label(_, term) => visit(term),
        Term::BinOp(left, operator, right) => {
            visit(left);
            if let BinaryOp::Pipe(Some(pattern)) = operator {
                in_pattern(pattern, visit);
            }
            visit(right);
        }
        Term::Fold(_, source, pattern, arguments) => {
            visit(source);
            in_pattern(pattern, visit);
            arguments.iter().for_each(visit);
        }
        Term::TryCatch(body, handler) => {
            visit(body);
            if let Some(handler) = handler {
                visit(handler);
            }
        }
        Term::IfThenElse(branches, otherwise) => {
            for (condition, branch) in branches {
                visit(condition);
                visit(branch);
            }
            if let Some(otherwise) = otherwise {
                visit(otherwise);
            }
        }
        Term::Def(defs, body) => {
            for def in defs {
                visit(&def.body);
            }
            visit(body);
        }
        Term::Call(_, arguments) => arguments.iter().for_each(visit),
        Term::Path(head, path) => {
            visit(head);
            for (part, _) in &path.0 {
                match part {
                    Part::Index(index) => visit(index),
                    Part::Range(from, to) => {
                        from.iter().chain(to).for_each(&mut *visit);
                    }
                }
            }
        }
    }
}

fn in_pattern<'t, 's>(pattern: &'t Pattern<&'s str>, visit: &mut dyn FnMut(&'t Term<&'s str>)) {
    match pattern {
        Pattern::Var(_) => {}
        Pattern::Arr(items) => items.iter().for_each(|item| in_pattern(item, visit)),
        Pattern::Obj(entries) => {
            for (key, item) in entries {
                visit(key);
                in_pattern(item, visit);
            }
        }
    }
}

/// Collects what a term calls.
pub(super) fn calls<'s>(term: &Term<&'s str>, called: &mut HashSet<Signature<'s>>) {
    match term {
        Term::Call(name, arguments) => {
            called.insert((name, arguments.len()));
        }
        Term::Str(Some(format), _) => {
            called.insert((format, 0));
        }
        _ => {}
    }
    below(term, &mut |term| calls(term, called));
}

/// Whether a term mentions a variable.
pub(super) fn mentions(term: &Term<&str>, variable: &str) -> bool {
    let mut found = matches!(term, Term::Var(name) if *name == variable);
    below(term, &mut |term| found = found || mentions(term, variable));
    found
}

/// How deep a tree is.
pub(super) fn depth(term: &Term<&str>) -> usize {
    let mut deepest = 0;
    below(term, &mut |term| deepest = deepest.max(depth(term)));
    deepest + 1
}
