//! Paths and what assignments are made of, the step counter, ranges.

use jaq_core::box_iter::box_once;
use jaq_core::compile::TermId;
use jaq_core::native::{Fun, bome, v};
use jaq_core::{Bind, Ctx, Cv, Error as Cause, Exn, Native, ValR, ValXs};
use jaq_json::{Map, Rc, Val};

use super::{Engine, halt};
use crate::jq::fuel;
use crate::jq::value::{Bounded, Error, VALUE_DEPTH, bounds, described, error, position, spent};

pub(super) fn functions() -> Vec<Fun<Engine>> {
    let fun = || -> Box<[Bind]> { Box::new([Bind::Fun(())]) };
    let step =
        Native::new(|cv: Cv<'_, Engine>| box_once(fuel::step().map(|()| cv.1).map_err(halt)))
            .with_paths(|cv| box_once(fuel::step().map(|()| cv.1).map_err(halt)));
    let last = Native::<Engine>::new(|mut cv| {
        let (f, context) = cv.0.pop_fun();
        box_once(
            f.run((context, cv.1))
                .try_fold(Bounded::default(), |_, output| output),
        )
    })
    .with_paths(|mut cv| {
        let (f, context) = cv.0.pop_fun();
        let last = f
            .paths((context, cv.1))
            .try_fold(None, |_, output| output.map(Some));
        Box::new(last.transpose().into_iter())
    });
    let getpath = Native::<Engine>::new(|mut cv| {
        let path = cv.0.pop_var();
        bome(get(cv.1, &path))
    })
    .with_paths(|mut cv| {
        let path = cv.0.pop_var();
        let (value, at) = cv.1;
        let keys = keys(&path).map(<[Bounded]>::into_vec);
        let found = keys.and_then(|keys| Ok((get(value, &path)?, keys)));
        box_once(match found {
            Ok((value, keys)) => Ok((value, at.extend(keys))),
            Err(cause) => Err(Exn::from(cause)),
        })
    });
    vec![
        ("__step", v(0), step),
        ("__last", fun(), last),
        ("getpath", v(1), getpath),
        ("path", fun(), Native::new(|cv| path(cv))),
        ("range", v(3), Native::new(|cv| range(cv))),
        (
            "__modify",
            Box::new([Bind::Fun(()), Bind::Fun(())]),
            Native::new(|cv| box_once(modify(cv))),
        ),
        (
            "__assign",
            Box::new([Bind::Fun(()), Bind::Var(())]),
            Native::new(|cv| box_once(assign(cv))),
        ),
        (
            "setpath",
            v(2),
            Native::new(|mut cv| {
                let value = cv.0.pop_var();
                let path = cv.0.pop_var();
                bome(keys(&path).and_then(|path| put(cv.1, &path, value)))
            }),
        ),
        (
            "delpaths",
            v(1),
            Native::new(|mut cv| {
                let paths = cv.0.pop_var();
                bome(delete_given(cv.1, &paths))
            }),
        ),
    ]
}

fn price(keys: usize) -> Result<(), Error> {
    fuel::allocate(keys * 2 * size_of::<Bounded>()).map_err(spent)
}

/// The keys that the engine collected while following a path, the last first.
fn in_order<'k>(keys: impl Iterator<Item = &'k Bounded>) -> Result<Vec<Bounded>, Error> {
    let mut path = Vec::new();
    for key in keys {
        price(1)?;
        path.push(key.clone());
    }
    path.reverse();
    Ok(path)
}

#[expect(
    clippy::default_trait_access,
    reason = "the engine does not name the type of an empty path"
)]
fn follow(
    paths: TermId,
    context: Ctx<'_, Engine>,
    value: Bounded,
) -> impl Iterator<Item = Result<Vec<Bounded>, Exn<'_, Bounded>>> {
    paths
        .paths((context, (value, Default::default())))
        .map(|output| Ok(in_order(output?.1.iter())?))
}

fn path(mut cv: Cv<'_, Engine>) -> ValXs<'_, Bounded> {
    let (paths, context) = cv.0.pop_fun();
    Box::new(follow(paths, context, cv.1).map(|path| Ok(path?.into_iter().collect())))
}

/// All paths at once: the value changes under those that follow it.
fn paths_of<'a>(
    paths: TermId,
    context: Ctx<'a, Engine>,
    value: &Bounded,
) -> Result<Vec<Vec<Bounded>>, Exn<'a, Bounded>> {
    follow(paths, context, value.clone()).collect()
}

/// `paths |= f`: each path in turn; paths for which `f` yields nothing are
/// deleted, together and at the end.
fn modify(mut cv: Cv<'_, Engine>) -> Result<Bounded, Exn<'_, Bounded>> {
    let (f, f_context) = cv.0.pop_fun();
    let (paths, context) = cv.0.pop_fun();
    let mut value = cv.1;
    let mut removed = Vec::new();
    for path in paths_of(paths, context, &value)? {
        let mut absent = false;
        value = update(value, &path, &mut |old| {
            if let Some(output) = f.run((f_context.clone(), old.clone())).next() {
                return output;
            }
            absent = true;
            Ok(old)
        })?;
        if absent {
            removed.push(path);
        }
    }
    Ok(delete(value, removed)?)
}

/// `paths = value`.
fn assign(mut cv: Cv<'_, Engine>) -> Result<Bounded, Exn<'_, Bounded>> {
    let new = cv.0.pop_var();
    let (paths, context) = cv.0.pop_fun();
    let mut value = cv.1;
    for path in paths_of(paths, context, &value)? {
        value = put(value, &path, new.clone())?;
    }
    Ok(value)
}

fn keys(path: &Bounded) -> Result<Box<[Bounded]>, Error> {
    match path.val() {
        Val::Arr(keys) => {
            price(keys.len())?;
            Ok(keys.iter().map(|key| path.part(key.clone())).collect())
        }
        _ => Err(error(format!(
            "a path is an array, not {}",
            described(path)
        ))),
    }
}

fn get(mut value: Bounded, path: &Bounded) -> ValR<Bounded> {
    for key in keys(path)? {
        if matches!(value.val(), Val::Null) {
            break;
        }
        value = jaq_core::ValT::index(value, &key)?;
    }
    Ok(value)
}

fn put(value: Bounded, path: &[Bounded], new: Bounded) -> ValR<Bounded> {
    let mut new = Some(new);
    let put = update(value, path, &mut |_| Ok(new.take().unwrap_or_default()));
    put.map_err(|exception: Exn<'_, Bounded>| {
        exception
            .get_err()
            .unwrap_or_else(|_| Cause::new(Bounded::default()))
    })
}

type Change<'c, 'a> = &'c mut dyn FnMut(Bounded) -> Result<Bounded, Exn<'a, Bounded>>;

/// Replaces what is at `path`, creating what is missing on the way.
fn update<'a>(
    value: Bounded,
    path: &[Bounded],
    change: Change<'_, 'a>,
) -> Result<Bounded, Exn<'a, Bounded>> {
    let Some((key, rest)) = path.split_first() else {
        return change(value);
    };
    if rest.len() >= VALUE_DEPTH as usize {
        return Err(halt(fuel::too_deep()));
    }
    let depth = value.depth();
    let part_depth = depth.saturating_sub(1);
    match (value.into_val(), key.val()) {
        (val @ (Val::Null | Val::Obj(_)), Val::TStr(_)) => {
            let mut entries = match val {
                Val::Obj(entries) => owned_entries(entries)?,
                _ => Map::default(),
            };
            let slot = entries.entry(key.val().clone()).or_default();
            let part = Bounded::within(std::mem::take(slot), part_depth);
            let part = update(part, rest, change)?;
            let depth = depth.max(part.depth() + 1);
            *slot = part.into_val();
            Ok(Bounded::container(Val::obj(entries), depth))
        }
        (val @ (Val::Null | Val::Arr(_)), Val::Num(_)) => {
            let mut items = match val {
                Val::Arr(items) => owned_items(items)?,
                _ => Vec::new(),
            };
            let index = key
                .as_number()
                .and_then(|index| position(index, items.len()))
                .ok_or_else(|| error("an index before the beginning of an array"))?;
            if index >= items.len() {
                fuel::allocate((index - items.len()).saturating_mul(size_of::<Val>()))
                    .map_err(halt)?;
                items.resize(index + 1, Val::Null);
            }
            let part = Bounded::within(std::mem::take(&mut items[index]), part_depth);
            let part = update(part, rest, change)?;
            let depth = depth.max(part.depth() + 1);
            items[index] = part.into_val();
            Ok(Bounded::container(Val::Arr(Rc::new(items)), depth))
        }
        (val @ (Val::Null | Val::Arr(_)), Val::Obj(_)) => {
            let whole = Bounded::within(val, depth);
            let slice = jaq_core::ValT::index(whole.clone(), key)?;
            let new = update(slice, rest, change)?;
            Ok(splice(&whole, key, &new)?)
        }
        (val, _) => Err(error(format!(
            "cannot update {} at {}",
            described(&Bounded::within(val, depth)),
            described(key)
        ))
        .into()),
    }
}

/// Replaces a slice of an array by other elements.
fn splice(whole: &Bounded, range: &Bounded, new: &Bounded) -> ValR<Bounded> {
    let depth = whole.depth().max(new.depth());
    let items = match whole.val() {
        Val::Arr(items) => items.to_vec(),
        _ => Vec::new(),
    };
    let replacement: &[Val] = match new.val() {
        Val::Arr(items) => items,
        Val::Null => &[],
        _ => {
            return Err(error(
                "a slice of an array can only be replaced by an array",
            ));
        }
    };
    fuel::allocate((items.len() + replacement.len()) * size_of::<Val>()).map_err(spent)?;
    let (start, end) = slice_bounds(range, items.len())?;
    let mut items = items;
    items.splice(start..end, replacement.iter().cloned());
    Ok(Bounded::container(Val::Arr(Rc::new(items)), depth))
}

fn slice_bounds(range: &Bounded, length: usize) -> Result<(usize, usize), Error> {
    let bound = |key: &str| match range.val() {
        Val::Obj(range) => range
            .get(&Val::utf8_str(key.as_bytes().to_vec()))
            .cloned()
            .map(Bounded::scalar),
        _ => None,
    };
    let (start, end) = (bound("start"), bound("end"));
    bounds(&(start.as_ref()..end.as_ref()), length)
}

/// The entries for changing: copied, and paid for, when they are shared.
fn owned_entries(mut entries: Rc<Map>) -> Result<Map, Error> {
    if Rc::get_mut(&mut entries).is_none() {
        fuel::allocate(entries.len() * 3 * size_of::<Val>()).map_err(spent)?;
    }
    Ok(Rc::try_unwrap(entries).unwrap_or_else(|entries| Map::clone(&entries)))
}

fn owned_items(mut items: Rc<Vec<Val>>) -> Result<Vec<Val>, Error> {
    if Rc::get_mut(&mut items).is_none() {
        fuel::allocate(items.len() * size_of::<Val>()).map_err(spent)?;
    }
    Ok(Rc::try_unwrap(items).unwrap_or_else(|items| items.to_vec()))
}

fn delete_given(value: Bounded, paths: &Bounded) -> ValR<Bounded> {
    let Val::Arr(paths) = paths.val() else {
        return Err(error("paths to delete are an array of paths"));
    };
    let paths: Result<Vec<Vec<Bounded>>, Error> = paths
        .iter()
        .map(|path| Ok(keys(&Bounded::scalar(path.clone()))?.into_vec()))
        .collect();
    delete(value, paths?)
}

/// Deletes paths, the last ones first so that earlier ones stay where they are.
fn delete(mut value: Bounded, mut paths: Vec<Vec<Bounded>>) -> ValR<Bounded> {
    paths.sort();
    for path in paths.iter().rev() {
        let Some((last, parents)) = path.split_last() else {
            return Ok(Bounded::default());
        };
        if parents.len() >= VALUE_DEPTH as usize {
            return Err(spent(fuel::too_deep()));
        }
        value = remove(value, parents, last)?;
    }
    Ok(value)
}

fn remove(value: Bounded, parents: &[Bounded], last: &Bounded) -> ValR<Bounded> {
    if matches!(value.val(), Val::Null) {
        return Ok(value);
    }
    if let Some((key, rest)) = parents.split_first() {
        let part = jaq_core::ValT::index(value.clone(), key)?;
        if matches!(part.val(), Val::Null) {
            return Ok(value);
        }
        let part = remove(part, rest, last)?;
        return put(value, std::slice::from_ref(key), part);
    }
    let depth = value.depth();
    let val = match (value.into_val(), last.val()) {
        (Val::Obj(entries), key @ Val::TStr(_)) => {
            let mut entries = owned_entries(entries)?;
            entries.shift_remove(key);
            Val::obj(entries)
        }
        (Val::Arr(items), Val::Num(_)) => {
            let at = last
                .as_number()
                .and_then(|index| position(index, items.len()));
            let mut items = owned_items(items)?;
            if let Some(at) = at.filter(|at| *at < items.len()) {
                items.remove(at);
            }
            Val::Arr(Rc::new(items))
        }
        (Val::Arr(items), Val::Obj(_)) => {
            let (start, end) = slice_bounds(last, items.len())?;
            let mut items = owned_items(items)?;
            items.drain(start..end);
            Val::Arr(Rc::new(items))
        }
        (val, _) => {
            let value = described(&Bounded::within(val, depth));
            return Err(error(format!(
                "cannot delete {} of {value}",
                described(last)
            )));
        }
    };
    Ok(Bounded::within(val, depth))
}

/// Counts a step for each number: a range is the usual way to loop.
fn range(mut cv: Cv<'_, Engine>) -> ValXs<'_, Bounded> {
    let by = cv.0.pop_var();
    let to = cv.0.pop_var();
    let from = cv.0.pop_var();
    let (Some(mut next), Some(to), Some(by)) = (from.as_number(), to.as_number(), by.as_number())
    else {
        return bome(Err(error("the bounds of a range must be numbers")));
    };
    Box::new(std::iter::from_fn(move || {
        let within = if by > 0.0 {
            next < to
        } else {
            by < 0.0 && next > to
        };
        within.then(|| {
            fuel::step().map_err(halt)?;
            let output = Bounded::scalar(crate::jq::value::number(next));
            next += by;
            Ok(output)
        })
    }))
}
