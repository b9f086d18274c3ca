//! Follows values through an expression.

use std::rc::Rc;

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::Part;

use super::Reads;
use super::origin::{Origin, Traced};

/// How many terms are looked at before everything counts as read.
const TERMS: usize = 20_000;
/// How many calls may be open at once; recursion has no end here.
const CALLS: usize = 24;
/// How large a traced value may become.
const SIZE: usize = 2_000;
/// Rounds of a loop that are followed.
const ROUNDS: usize = 4;

pub(super) type Tree<'s> = Term<&'s str>;

/// What a name stands for.
#[derive(Clone)]
pub(super) enum Binding<'t, 's> {
    Variable(Traced),
    /// A filter given as an argument, with the names it knows.
    Filter(&'t Tree<'s>, Scope<'t, 's>),
    /// Knows itself and what was in scope before.
    Definition(&'t Def<&'s str>),
}

pub(super) struct Name<'t, 's> {
    called: &'s str,
    arguments: usize,
    pub(super) binding: Binding<'t, 's>,
    outer: Scope<'t, 's>,
}

/// The names in scope, the innermost first.
pub(super) type Scope<'t, 's> = Option<Rc<Name<'t, 's>>>;

#[expect(clippy::unnecessary_wraps, reason = "a scope may be empty")]
fn bind<'t, 's>(
    outer: &Scope<'t, 's>,
    name: &'s str,
    arguments: usize,
    binding: Binding<'t, 's>,
) -> Scope<'t, 's> {
    Some(Rc::new(Name {
        called: name,
        arguments,
        binding,
        outer: outer.clone(),
    }))
}

pub(super) fn find<'t, 's>(scope: &Scope<'t, 's>, name: &str, arguments: usize) -> Scope<'t, 's> {
    let mut scope = scope;
    while let Some(known) = scope {
        if known.called == name && known.arguments == arguments {
            return scope.clone();
        }
        scope = &known.outer;
    }
    None
}

pub(super) struct Flow {
    pub(super) reads: Reads,
    terms: usize,
    calls: usize,
}

impl Flow {
    pub(super) fn through(term: &Tree<'_>) -> Reads {
        let mut flow = Self {
            reads: Reads::default(),
            terms: TERMS,
            calls: 0,
        };
        let output = flow.follow(term, &Traced::input(), &None);
        flow.whole(&output);
        flow.reads
    }

    /// The value is looked at, with everything in it.
    pub(super) fn whole(&mut self, value: &Traced) {
        self.reads.whole.extend(value.origins.iter().cloned());
        for part in value.fields.values().chain(value.items.as_deref()) {
            self.whole(part);
        }
    }

    /// The value's type, truth, presence or length is looked at.
    pub(super) fn glance(&mut self, value: &Traced) {
        let paths = value.origins.iter().map(|origin| origin.path.clone());
        self.reads.glanced.extend(paths);
    }

    /// Counts everything as read.
    fn give_up(&mut self) -> Traced {
        self.reads.whole.insert(Origin::default());
        Traced::default()
    }

    pub(super) fn under(&mut self, value: &Traced, key: &str) -> Traced {
        let part = value.under(key);
        self.glance(&part);
        part
    }

    pub(super) fn each(&mut self, value: &Traced) -> Traced {
        let part = value.each();
        self.glance(&part);
        part
    }

    /// Everything that a term may yield for an input.
    pub(super) fn follow<'t, 's>(
        &mut self,
        term: &'t Tree<'s>,
        input: &Traced,
        scope: &Scope<'t, 's>,
    ) -> Traced {
        self.terms = self.terms.saturating_sub(1);
        if self.terms == 0 {
            return self.give_up();
        }
        let output = self.follow_term(term, input, scope);
        if output.size() > SIZE {
            return self.give_up();
        }
        output
    }

    fn follow_term<'t, 's>(
        &mut self,
        term: &'t Tree<'s>,
        input: &Traced,
        scope: &Scope<'t, 's>,
    ) -> Traced {
        match term {
            Term::Id => input.clone(),
            Term::Recurse => self.consumed(input),
            Term::Num(_) | Term::Arr(None) | Term::Break(_) => Traced::default(),
            Term::Str(_, parts) => {
                for part in parts {
                    if let StrPart::Term(term) = part {
                        let value = self.follow(term, input, scope);
                        self.whole(&value);
                    }
                }
                Traced::default()
            }
            Term::Arr(Some(items)) => Traced::array_of(self.follow(items, input, scope)),
            Term::Obj(entries) => self.object(entries, input, scope),
            Term::Neg(term) => {
                let value = self.follow(term, input, scope);
                self.consumed(&value)
            }
            Term::BinOp(left, operator, right) => self.binary(left, operator, right, input, scope),
            Term::Label(_, body) => self.follow(body, input, scope),
            Term::Fold(name, source, pattern, arguments) => {
                let source = self.follow(source, input, scope);
                let inner = self.destructure(pattern, &source, input, scope);
                self.fold(name, arguments, input, scope, &inner)
            }
            Term::TryCatch(body, handler) => {
                let body = self.follow(body, input, scope);
                match handler {
                    Some(handler) => body.or(self.follow(handler, &Traced::default(), scope)),
                    None => body,
                }
            }
            Term::IfThenElse(branches, otherwise) => {
                let mut output = match otherwise {
                    Some(otherwise) => self.follow(otherwise, input, scope),
                    None => input.clone(),
                };
                for (condition, branch) in branches {
                    let condition = self.follow(condition, input, scope);
                    self.glance(&condition);
                    output = output.or(self.follow(branch, input, scope));
                }
                output
            }
            Term::Def(defs, body) => {
                let mut inner = scope.clone();
                for def in defs {
                    inner = bind(&inner, def.name, def.args.len(), Binding::Definition(def));
                }
                self.follow(body, input, &inner)
            }
            Term::Var(name) => match find(scope, name, 0).as_deref() {
                Some(Name {
                    binding: Binding::Variable(value),
                    ..
                }) => value.clone(),
                _ => Traced::default(),
            },
            Term::Call(name, arguments) => self.call(name, arguments, input, scope),
            Term::Path(head, path) => {
                let mut value = self.follow(head, input, scope);
                for (part, _) in &path.0 {
                    value = self.part(part, &value, input, scope);
                }
                value
            }
        }
    }

    /// The value was looked at whole, so what is made of it need not be traced.
    pub(super) fn consumed(&mut self, value: &Traced) -> Traced {
        self.whole(value);
        Traced::default()
    }

    /// What is under the key that a term says, which is evaluated on `input`.
    pub(super) fn indexed<'t, 's>(
        &mut self,
        key: &'t Tree<'s>,
        value: &Traced,
        input: &Traced,
        scope: &Scope<'t, 's>,
    ) -> Traced {
        if let Some(key) = constant(key) {
            return self.under(value, &key);
        }
        let key = self.follow(key, input, scope);
        self.whole(&key);
        self.each(value)
    }

    fn part<'t, 's>(
        &mut self,
        part: &'t Part<Tree<'s>>,
        value: &Traced,
        input: &Traced,
        scope: &Scope<'t, 's>,
    ) -> Traced {
        match part {
            Part::Index(index) => self.indexed(index, value, input, scope),
            Part::Range(None, None) => self.each(value),
            Part::Range(from, to) => {
                for bound in from.iter().chain(to) {
                    let bound = self.follow(bound, input, scope);
                    self.whole(&bound);
                }
                self.glance(value);
                value.clone()
            }
        }
    }

    fn object<'t, 's>(
        &mut self,
        entries: &'t [(Tree<'s>, Option<Tree<'s>>)],
        input: &Traced,
        scope: &Scope<'t, 's>,
    ) -> Traced {
        let mut object = Traced::default();
        for (key, value) in entries {
            let name = match key {
                Term::Var(name) => Some(name.trim_start_matches('$').to_owned()),
                key => constant(key),
            };
            let value = match (value, key, &name) {
                (Some(value), ..) => self.follow(value, input, scope),
                (None, Term::Var(_), _) => self.follow(key, input, scope),
                (None, _, Some(name)) => self.under(input, name),
                (None, _, None) => self.each(input),
            };
            let entry = if let Some(name) = name {
                Traced::object_of([(name, value)])
            } else {
                let key = self.follow(key, input, scope);
                self.whole(&key);
                Traced::array_of(value)
            };
            object = object.or(entry);
        }
        object
    }

    fn binary<'t, 's>(
        &mut self,
        left: &'t Tree<'s>,
        operator: &'t BinaryOp<&'s str>,
        right: &'t Tree<'s>,
        input: &Traced,
        scope: &Scope<'t, 's>,
    ) -> Traced {
        match operator {
            BinaryOp::Pipe(None) => {
                let between = self.follow(left, input, scope);
                self.follow(right, &between, scope)
            }
            BinaryOp::Pipe(Some(pattern)) => {
                let value = self.follow(left, input, scope);
                let inner = self.destructure(pattern, &value, input, scope);
                self.follow(right, input, &inner)
            }
            BinaryOp::Assign | BinaryOp::UpdateMath(_) | BinaryOp::UpdateAlt => {
                let new = self.follow(right, input, scope);
                self.whole(&new);
                let replaced = matches!(operator, BinaryOp::Assign);
                self.assigned(left, replaced, input, scope)
            }
            BinaryOp::Update => {
                let old = self.follow(left, input, scope);
                let new = self.follow(right, &old, scope);
                self.whole(&new);
                self.assigned(left, true, input, scope)
            }
            operator => {
                let left_value = self.follow(left, input, scope);
                let right_value = self.follow(right, input, scope);
                self.glance(&left_value);
                self.glance(&right_value);
                match operator {
                    BinaryOp::Comma | BinaryOp::Alt | BinaryOp::Math(Math::Add | Math::Mul) => {
                        left_value.or(right_value)
                    }
                    BinaryOp::Or | BinaryOp::And => Traced::default(),
                    // To compare with a scalar is to look at a scalar.
                    BinaryOp::Cmp(_) if is_scalar(left) || is_scalar(right) => Traced::default(),
                    _ => {
                        self.whole(&left_value);
                        self.consumed(&right_value)
                    }
                }
            }
        }
    }

    /// The input with other values at some paths.
    pub(super) fn assigned<'t, 's>(
        &mut self,
        paths: &'t Tree<'s>,
        replaced: bool,
        input: &Traced,
        scope: &Scope<'t, 's>,
    ) -> Traced {
        if let Some(paths) = constant_paths(paths).filter(|_| replaced) {
            // On the way there may be something that has no such part.
            for path in &paths {
                let parents = path.split_last().map_or(&[][..], |(_, parents)| parents);
                parents
                    .iter()
                    .fold(input.clone(), |value, key| self.under(&value, key));
            }
            return paths
                .iter()
                .fold(input.clone(), |value, path| value.without(path));
        }
        let old = self.follow(paths, input, scope);
        self.glance(&old);
        input.clone()
    }

    fn destructure<'t, 's>(
        &mut self,
        pattern: &'t Pattern<&'s str>,
        value: &Traced,
        input: &Traced,
        scope: &Scope<'t, 's>,
    ) -> Scope<'t, 's> {
        match pattern {
            Pattern::Var(name) => bind(scope, name, 0, Binding::Variable(value.clone())),
            Pattern::Arr(items) => {
                let element = self.each(value);
                items.iter().fold(scope.clone(), |scope, item| {
                    self.destructure(item, &element, input, &scope)
                })
            }
            Pattern::Obj(entries) => entries.iter().fold(scope.clone(), |scope, (key, item)| {
                let part = self.indexed(key, value, input, &scope);
                self.destructure(item, &part, input, &scope)
            }),
        }
    }

    fn fold<'t, 's>(
        &mut self,
        name: &str,
        arguments: &'t [Tree<'s>],
        input: &Traced,
        scope: &Scope<'t, 's>,
        inner: &Scope<'t, 's>,
    ) -> Traced {
        let [start, update, rest @ ..] = arguments else {
            return self.give_up();
        };
        let mut state = self.follow(start, input, scope);
        for round in 0.. {
            let next = state.clone().or(self.follow(update, &state, inner));
            if next == state {
                break;
            }
            state = next;
            if round == ROUNDS || state.size() > SIZE {
                // Further rounds only reach what is below.
                state = self.consumed(&state);
                break;
            }
        }
        match (name, rest.first()) {
            ("foreach", Some(project)) => self.follow(project, &state, inner),
            _ => state,
        }
    }

    /// A call of a definition or of a filter that was given as an argument.
    pub(super) fn enter<'t, 's>(
        &mut self,
        name: &Rc<Name<'t, 's>>,
        arguments: &'t [Tree<'s>],
        input: &Traced,
        scope: &Scope<'t, 's>,
    ) -> Traced {
        if self.calls == CALLS {
            return self.give_up();
        }
        self.calls += 1;
        let output = match &name.binding {
            Binding::Variable(value) => value.clone(),
            Binding::Filter(term, scope) => self.follow(term, input, scope),
            Binding::Definition(def) => {
                let mut inner = Some(name.clone());
                for (parameter, argument) in def.args.iter().zip(arguments) {
                    inner = if let Some(filter) = parameter.strip_prefix('$') {
                        let value = self.follow(argument, input, scope);
                        let binding = Binding::Variable(value);
                        let inner = bind(&inner, filter, 0, binding.clone());
                        bind(&inner, parameter, 0, binding)
                    } else {
                        let binding = Binding::Filter(argument, scope.clone());
                        bind(&inner, parameter, 0, binding)
                    };
                }
                self.follow(&def.body, input, &inner)
            }
        };
        self.calls -= 1;
        output
    }
}

/// The string that a term is.
pub(super) fn constant(term: &Tree<'_>) -> Option<String> {
    match term {
        Term::Str(None, parts) => parts
            .iter()
            .map(|part| match part {
                StrPart::Str(text) => Some((*text).to_owned()),
                StrPart::Char(character) => Some(character.to_string()),
                StrPart::Term(_) => None,
            })
            .collect(),
        _ => None,
    }
}

/// Whether a term is a constant that is neither an array nor an object.
pub(super) fn is_scalar(term: &Tree<'_>) -> bool {
    match term {
        Term::Num(_) => true,
        Term::Neg(term) => is_scalar(term),
        Term::Call(name, arguments) => {
            arguments.is_empty() && matches!(*name, "null" | "true" | "false")
        }
        Term::BinOp(left, BinaryOp::Comma, right) => is_scalar(left) && is_scalar(right),
        term => constant(term).is_some(),
    }
}

/// The paths that a term names, when it names them one by one: `.a, .b.c`.
pub(super) fn constant_paths(term: &Tree<'_>) -> Option<Vec<Vec<String>>> {
    match term {
        Term::BinOp(left, BinaryOp::Comma, right) => {
            let mut paths = constant_paths(left)?;
            paths.extend(constant_paths(right)?);
            Some(paths)
        }
        Term::Path(head, path) if matches!(**head, Term::Id) => {
            let keys = path.0.iter().map(|(part, _)| match part {
                Part::Index(index) => constant(index),
                Part::Range(..) => None,
            });
            Some(vec![keys.collect::<Option<Vec<String>>>()?])
        }
        _ => None,
    }
}
