//! An expression's text into something that runs, or a message.

use std::collections::HashSet;

use jaq_core::Compiler;
use jaq_core::compile::Undefined;
use jaq_core::load::parse::Def;
use jaq_core::load::{Arena, File, Loader};

use super::functions::Engine;
use super::parse::{self, Problem};
use super::reads::Reads;
use super::simple::{self, Simple};
use super::{CompileError, Limits, Step, instrument, library, quotes, terms};

/// The name under which the expression itself is linked.
const MAIN: &str = "__main";

/// What is known about an expression once it is compiled.
pub(super) struct Compiled {
    pub(super) program: jaq_core::Filter<Engine>,
    pub(super) reads: Reads,
    /// The paths among them, and whether what is below counts.
    pub(super) read: Vec<(Vec<Step>, bool)>,
    pub(super) literal: Option<String>,
    pub(super) simple: Option<Simple>,
    pub(super) uses_environment: bool,
    /// How deep the program is, which takes stack before a step is counted.
    pub(super) depth: usize,
}

pub(super) fn compile(text: &str, limits: &Limits) -> Result<Compiled, CompileError> {
    if text.len() > limits.expression_bytes {
        return Err(CompileError {
            message: format!(
                "the expression is {} bytes long, {} are allowed",
                text.len(),
                limits.expression_bytes
            ),
            span: None,
            hint: None,
        });
    }
    compile_text(&quotes::rewrite(text), limits).map_err(|problem| CompileError {
        hint: hint(text, limits),
        message: problem.message,
        span: Some(problem.span).filter(|span| text.get(span.clone()).is_some()),
    })
}

/// What the author can do, when double quotes would help.
fn hint(text: &str, limits: &Limits) -> Option<String> {
    let doubled = quotes::all_doubled(text)?;
    compile_text(&doubled, limits).ok()?;
    Some(
        "write strings in double quotes: single quotes are only read as such at the edge of a word"
            .to_owned(),
    )
}

fn compile_text(text: &str, limits: &Limits) -> Result<Compiled, Problem> {
    if parse::bracket_depth(text) > limits.nesting {
        return Err(Problem {
            message: format!("more than {} brackets are open at once", limits.nesting),
            span: 0..text.len(),
        });
    }
    let term = parse::expression(text)?;
    let mut called = HashSet::new();
    terms::calls(&term, &mut called);
    let reads = Reads::of(&term);
    let literal = simple::text(&term);
    let simple = Simple::of(&term);
    let main = Def {
        name: MAIN,
        args: Vec::new(),
        body: instrument::term(term),
    };
    // What rewriting added is called as well.
    terms::calls(&main.body, &mut called);
    let (mut defs, natives) = library::linked(called);
    let uses_environment = defs
        .iter()
        .chain([&main])
        .any(|def| terms::mentions(&def.body, "$ENV"));
    let depth = terms::depth(&main.body);
    defs.push(main);

    let arena = Arena::default();
    let file = File {
        code: MAIN,
        path: (),
    };
    let modules = Loader::new(defs).load(&arena, file).map_err(|_| Problem {
        message: "the expression cannot be read".to_owned(),
        span: 0..text.len(),
    })?;
    let program = Compiler::default()
        .with_funs(natives)
        .with_global_vars(["$ENV"])
        .compile(modules)
        .map_err(|errors| {
            let errors = errors.into_iter().flat_map(|(_, errors)| errors);
            undefined(text, errors.collect())
        })?;
    Ok(Compiled {
        program,
        read: reads.steps(),
        reads,
        literal,
        simple,
        uses_environment,
        depth,
    })
}

/// The first name that means nothing.
fn undefined(text: &str, errors: Vec<(&str, Undefined)>) -> Problem {
    let located = |name: &str| {
        let start = (name.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
        let span = start..start + name.len();
        text.get(span.clone()).map(|_| span)
    };
    let mut located: Vec<_> = errors
        .into_iter()
        .map(|(name, kind)| (located(name).unwrap_or(0..text.len()), name, kind))
        .collect();
    located.sort_by_key(|(span, ..)| span.start);
    let Some((span, name, kind)) = located.into_iter().next() else {
        return Problem {
            message: "the expression cannot be compiled".to_owned(),
            span: 0..text.len(),
        };
    };
    let message = match kind {
        Undefined::Filter(given) => undefined_function(name, given),
        Undefined::Label => format!("undefined label `{name}`"),
        _ => format!("undefined variable `{name}`"),
    };
    Problem { message, span }
}

fn undefined_function(name: &str, given: usize) -> String {
    let what = if name.starts_with('@') {
        "format"
    } else {
        "function"
    };
    let mut message = if given == 0 {
        format!("undefined {what} `{name}`")
    } else {
        format!("undefined {what} `{name}/{given}`")
    };
    let mut arities = library::arities(name).to_vec();
    arities.sort_unstable();
    if !arities.is_empty() {
        let arities: Vec<String> = arities.iter().map(usize::to_string).collect();
        message = format!(
            "`{name}` takes {} argument(s), not {given}",
            arities.join(" or ")
        );
    } else if let Some(nearest) = library::nearest(name) {
        message = format!("{message}; did you mean `{nearest}`?");
    }
    message
}
