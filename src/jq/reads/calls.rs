//! What the functions of the language look at.

use jaq_core::load::parse::Term;

use super::flow::{Flow, Scope, Tree, constant, find, is_scalar};
use super::origin::Traced;

impl Flow {
    pub(super) fn call<'t, 's>(
        &mut self,
        name: &'s str,
        arguments: &'t [Tree<'s>],
        input: &Traced,
        scope: &Scope<'t, 's>,
    ) -> Traced {
        if let Some(known) = find(scope, name, arguments.len()) {
            return self.enter(&known, arguments, input, scope);
        }
        match arguments {
            [] => self.without_arguments(name, input),
            [f] => self.with_one(name, f, input, scope),
            [first, second] => self.with_two(name, first, second, arguments, input, scope),
            _ => self.unknown(arguments, input, scope),
        }
    }

    /// A function that may do anything with its input and its arguments.
    fn unknown<'t, 's>(
        &mut self,
        arguments: &'t [Tree<'s>],
        input: &Traced,
        scope: &Scope<'t, 's>,
    ) -> Traced {
        for argument in arguments {
            let value = self.follow(argument, input, scope);
            self.whole(&value);
        }
        self.consumed(input)
    }

    fn without_arguments(&mut self, name: &str, input: &Traced) -> Traced {
        match name {
            "empty"
            | "null"
            | "true"
            | "false"
            | "nan"
            | "infinite"
            | "now"
            | "env"
            | "input"
            | "inputs"
            | "input_filename"
            | "input_line_number"
            | "halt"
            | "have_literal_numbers"
            | "have_decnum" => Traced::default(),
            "not" | "utf8bytelength" | "type" => {
                self.glance(input);
                Traced::default()
            }
            // An object's length tells whether a key is there.
            "length" => {
                self.glance(input);
                self.each(input);
                Traced::default()
            }
            "values" | "nulls" | "booleans" | "numbers" | "strings" | "arrays" | "objects"
            | "iterables" | "scalars" | "reverse" => {
                self.glance(input);
                input.clone()
            }
            "debug" | "stderr" => input.clone(),
            "first" | "last" | "add" => self.each(input),
            "any" | "all" | "keys" | "keys_unsorted" => {
                self.each(input);
                Traced::default()
            }
            "toarray" => {
                self.glance(input);
                Traced::array_of(input.clone()).or(input.clone())
            }
            _ => self.consumed(input),
        }
    }

    fn with_one<'t, 's>(
        &mut self,
        name: &str,
        f: &'t Tree<'s>,
        input: &Traced,
        scope: &Scope<'t, 's>,
    ) -> Traced {
        match name {
            "select" => {
                let condition = self.follow(f, input, scope);
                self.glance(&condition);
                input.clone()
            }
            "map" | "map_values" => {
                let element = self.each(input);
                Traced::array_of(self.follow(f, &element, scope))
            }
            "any" | "all" => {
                let element = self.each(input);
                let condition = self.follow(f, &element, scope);
                self.glance(&condition);
                Traced::default()
            }
            "first" | "last" | "add" | "repeat" => self.follow(f, input, scope),
            "isempty" | "path" => {
                self.follow(f, input, scope);
                Traced::default()
            }
            "nth" => {
                let index = self.follow(f, input, scope);
                self.whole(&index);
                self.each(input)
            }
            "has" => {
                self.indexed(f, input, input, scope);
                Traced::default()
            }
            "in" => {
                let value = self.follow(f, input, scope);
                self.each(&value);
                self.consumed(input)
            }
            "IN" if is_scalar(f) => {
                self.glance(input);
                Traced::default()
            }
            "sort_by" | "unique_by" | "group_by" | "min_by" | "max_by" | "INDEX" => {
                let element = self.each(input);
                let key = self.follow(f, &element, scope);
                self.whole(&key);
                match name {
                    "group_by" => Traced::array_of(Traced::array_of(element)),
                    "min_by" | "max_by" => element,
                    _ => Traced::array_of(element),
                }
            }
            "del" => self.assigned(f, true, input, scope),
            "debug" => input.clone(),
            "error" | "range" | "pick" => {
                let value = self.follow(f, input, scope);
                self.consumed(&value)
            }
            "getpath" => match constant_keys(f) {
                Some(keys) => keys
                    .iter()
                    .fold(input.clone(), |value, key| self.under(&value, key)),
                None => self.unknown(std::slice::from_ref(f), input, scope),
            },
            _ => self.unknown(std::slice::from_ref(f), input, scope),
        }
    }

    fn with_two<'t, 's>(
        &mut self,
        name: &str,
        first: &'t Tree<'s>,
        second: &'t Tree<'s>,
        arguments: &'t [Tree<'s>],
        input: &Traced,
        scope: &Scope<'t, 's>,
    ) -> Traced {
        match name {
            "limit" | "skip" | "nth" => {
                let count = self.follow(first, input, scope);
                self.whole(&count);
                self.follow(second, input, scope)
            }
            "any" | "all" => {
                let value = self.follow(first, input, scope);
                let condition = self.follow(second, &value, scope);
                self.glance(&condition);
                Traced::default()
            }
            "IN" => {
                let source = self.follow(first, input, scope);
                if is_scalar(second) {
                    self.glance(&source);
                    return Traced::default();
                }
                let candidates = self.follow(second, input, scope);
                self.whole(&source);
                self.consumed(&candidates)
            }
            "INDEX" => {
                let rows = self.follow(first, input, scope);
                let key = self.follow(second, &rows, scope);
                self.whole(&key);
                Traced::array_of(rows)
            }
            "range" => {
                for bound in arguments {
                    let bound = self.follow(bound, input, scope);
                    self.whole(&bound);
                }
                Traced::default()
            }
            _ => self.unknown(arguments, input, scope),
        }
    }
}

/// The keys of a path given as an array of strings.
fn constant_keys(term: &Tree<'_>) -> Option<Vec<String>> {
    fn collect(term: &Tree<'_>, keys: &mut Vec<String>) -> Option<()> {
        match term {
            Term::BinOp(left, jaq_core::load::parse::BinaryOp::Comma, right) => {
                collect(left, keys)?;
                collect(right, keys)
            }
            term => {
                keys.push(constant(term)?);
                Some(())
            }
        }
    }
    match term {
        Term::Arr(Some(items)) => {
            let mut keys = Vec::new();
            collect(items, &mut keys)?;
            Some(keys)
        }
        _ => None,
    }
}
