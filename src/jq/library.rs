//! The definitions and functions that expressions are linked with.
//!
//! The prelude is parsed once per process. An expression is linked with what
//! it reaches and nothing else, which makes compiling cheap and compiled
//! expressions small.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use jaq_core::load::parse::Def;
use jaq_core::native::Fun;

use super::functions::{self, Engine};
use super::instrument;
use super::parse;
use super::terms::calls;

/// A name and how many arguments it is called with.
pub(super) type Signature<'s> = (&'s str, usize);

struct Definition {
    def: Def<&'static str>,
    calls: HashSet<Signature<'static>>,
}

static PRELUDE: LazyLock<Vec<Definition>> = LazyLock::new(|| {
    let defs = parse::definitions(include_str!("prelude.jq")).unwrap_or_default();
    defs.into_iter()
        .map(|def| {
            let def = instrument::definition(def);
            let mut called = HashSet::new();
            calls(&def.body, &mut called);
            Definition { def, calls: called }
        })
        .collect()
});

/// Names by which mappings may call, with the numbers of arguments.
static NAMES: LazyLock<HashMap<&'static str, Vec<usize>>> = LazyLock::new(|| {
    let natives = functions::all()
        .into_iter()
        .map(|(name, arguments, _)| (name, arguments.len()));
    let defined = PRELUDE
        .iter()
        .map(|definition| (definition.def.name, definition.def.args.len()));
    let mut names: HashMap<&'static str, Vec<usize>> = HashMap::new();
    for (name, arguments) in natives.chain(defined) {
        names.entry(name).or_default().push(arguments);
    }
    names
});

/// The numbers of arguments that a function of this name can be called with.
pub(super) fn arities(name: &str) -> &'static [usize] {
    NAMES.get(name).map_or(&[], Vec::as_slice)
}

/// The public name nearest to one that does not exist.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    NAMES
        .keys()
        .filter(|known| !known.starts_with("__") && !known.ends_with("_empty"))
        .map(|known| (strsim::osa_distance(name, known), *known))
        .filter(|(distance, known)| *distance * 3 <= known.len().max(3))
        .min()
        .map(|(_, known)| known)
}

/// What an expression that calls `called` is to be linked with. Those of its
/// own definitions that have a name of ours are linked needlessly, no more.
pub(super) fn linked<'s>(called: HashSet<Signature<'s>>) -> (Vec<Def<&'s str>>, Vec<Fun<Engine>>) {
    // Paths and texts call nothing, and making all functions takes longer than
    // compiling one of those.
    if called.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let mut wanted = called;
    let mut defs: Vec<Def<&'s str>> = Vec::new();
    // A definition uses what stands above it, so one pass upwards finds all.
    for definition in PRELUDE.iter().rev() {
        let signature = (definition.def.name, definition.def.args.len());
        if wanted.contains(&signature) {
            wanted.extend(definition.calls.iter().copied());
            defs.push(definition.def.clone());
        }
    }
    defs.reverse();
    let natives = functions::all()
        .into_iter()
        .filter(|(name, arguments, _)| wanted.contains(&(name, arguments.len())))
        .collect();
    (defs, natives)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prelude_parses_and_defines_each_name_once() {
        assert!(PRELUDE.len() > 100);
        for (name, arities) in NAMES.iter() {
            let distinct: HashSet<&usize> = arities.iter().collect();
            assert_eq!(distinct.len(), arities.len(), "{name} is defined twice");
        }
    }

    #[test]
    fn a_definition_calls_only_what_stands_above_it() {
        let mut known: HashSet<Signature<'_>> = functions::all()
            .iter()
            .map(|(name, arguments, _)| (*name, arguments.len()))
            .collect();
        for definition in PRELUDE.iter() {
            let own = (definition.def.name, definition.def.args.len());
            known.insert(own);
            let (defs, _) = linked(HashSet::from([own]));
            assert_eq!(defs.last().map(|def| def.name), Some(own.0));
        }
        for expression in ["map(.a)", "walk(.)", "@csv", "gsub(\"a\"; \"b\")"] {
            let term = parse::expression(expression).unwrap();
            let mut called = HashSet::new();
            calls(&term, &mut called);
            assert!(called.iter().all(|signature| known.contains(signature)));
        }
    }

    #[test]
    fn misspelt_names_find_their_neighbours() {
        assert_eq!(nearest("ascii_lowercase"), Some("ascii_downcase"));
        assert_eq!(nearest("tostrin"), Some("tostring"));
        assert_eq!(nearest("selct"), Some("select"));
        assert_eq!(nearest("zzzzzz"), None);
    }
}
