//! Functions that expressions call and that are not defined in the language
//! itself. Those of the engine that keep to jq's rules and to our limits are
//! taken as they are; everything else is written here.

mod paths;
mod regex;
mod text;
mod time;
mod values;

use jaq_core::native::Fun;
use jaq_core::{DataT, Exn, Lut, RunPtr, native};

use super::fuel;
use super::value::{Bounded, error};

/// What the engine is told about our values. Evaluations carry nothing beside
/// the compiled program: what may be used is kept by [`fuel`].
pub(super) struct Engine;

impl DataT for Engine {
    type V<'a> = Bounded;
    type Data<'a> = &'a Lut<Self>;
}

/// A function that maps one input to one output.
type Plain = native::Filter<RunPtr<Engine>>;

/// Stops the evaluation in a way that `try` does not catch.
fn halt<'a>(_: fuel::Spent) -> Exn<'a, Bounded> {
    Exn::halt(1)
}

/// Functions of the engine that are used unchanged. The rest of its library
/// prints, reads the process's environment, ends the process, builds data
/// without limit, or keeps to other rules than jq.
fn is_kept(name: &str) -> bool {
    matches!(
        name,
        "error_empty" | "first" | "last" | "limit" | "skip" | "keys_unsorted" | "key_values"
            | "floor" | "round" | "ceil" | "utf8bytelength" | "sort" | "sort_by" | "group_by"
            | "min_by_or_empty" | "max_by_or_empty" | "reverse" | "trim" | "ltrim" | "rtrim"
            | "now"
            // Mathematics
            | "acos" | "acosh" | "asin" | "asinh" | "atan" | "atanh" | "cbrt" | "cos" | "cosh"
            | "exp" | "exp10" | "exp2" | "expm1" | "fabs" | "frexp" | "ilogb" | "lgamma" | "log"
            | "log10" | "log1p" | "log2" | "modf" | "nearbyint" | "rint" | "sin" | "sinh"
            | "sqrt" | "tan" | "tanh" | "tgamma" | "trunc" | "atan2" | "copysign" | "fdim"
            | "fmax" | "fmin" | "fmod" | "hypot" | "ldexp" | "nextafter" | "pow" | "scalbln"
            | "fma"
    )
}

/// Everything that the prelude and expressions may call natively.
pub(super) fn all() -> Vec<Fun<Engine>> {
    let engine = jaq_core::funs::<Engine>()
        .chain(jaq_std::funs::<Engine>())
        .filter(|(name, ..)| is_kept(name))
        // The prelude has a `limit` that refuses negative numbers.
        .map(|(name, arguments, function)| match name {
            "limit" => ("__limit", arguments, function),
            _ => (name, arguments, function),
        });
    let plain = [
        text::functions(),
        time::functions(),
        values::functions(),
        regex::functions(),
    ]
    .into_iter()
    .flat_map(<[Plain]>::into_vec)
    .map(native::run::<Engine>);
    engine.chain(plain).chain(paths::functions()).collect()
}

/// The error of a function that was given a value it cannot work on.
fn refused(function: &str, expected: &str, value: &Bounded) -> super::value::Error {
    let value = super::value::described(value);
    error(format!("{function} needs {expected}, not {value}"))
}
