//! What a person does with a running simulator from another shell: see what it
//! was asked, forget that, and change what the vendor holds.
//!
//! All of it lives below `/sandbox/`, where no vendor has anything, takes JSON
//! and answers JSON. These requests are the sandbox's own: they need no
//! credential, meet no fault, count against no rate limit and are not logged, so
//! that looking changes nothing of what is looked at.

use serde_json::{Value, json};

use super::{Matcher, Reply, Request, Shared, World, lock};

/// Answers a request to the sandbox itself; `None` when it is one to the vendor.
pub(super) fn answer<W: World>(shared: &Shared<W>, request: &Request) -> Option<Reply> {
    let (method, segments) = request.route();
    let ["sandbox", path @ ..] = segments.as_slice() else {
        return None;
    };
    Some(match (method, path) {
        ("GET", ["requests"]) => requests(shared, request),
        ("DELETE", ["requests"]) => {
            lock(&shared.log).clear();
            done()
        }
        _ => {
            let mut world = lock(&shared.world);
            let answered = world.control(method, path, request.json());
            answered.unwrap_or_else(|| refused(404, "The sandbox has no such route"))
        }
    })
}

/// The requests that match `method` and `path`, where `*` stands for anything.
fn requests<W: World>(shared: &Shared<W>, request: &Request) -> Reply {
    let mut matcher = match request.parameter("path") {
        Some(path) => Matcher::path(path),
        None => Matcher::any(),
    };
    if let Some(method) = request.parameter("method") {
        matcher = matcher.with_method(method);
    }
    let log = lock(&shared.log);
    let requests: Vec<Value> = log
        .all()
        .filter(|request| matcher.matches_recorded(request))
        .map(|request| {
            json!({"number": request.number, "method": request.method, "path": request.path, "status": request.status})
        })
        .collect();
    Reply::json(200, &json!({"count": requests.len(), "requests": requests}))
}

/// What was asked for is done.
pub(in super::super) fn done() -> Reply {
    Reply::json(200, &json!({"ok": true}))
}

/// It is not, for this reason.
pub(in super::super) fn refused(status: u16, reason: &str) -> Reply {
    Reply::json(status, &json!({"ok": false, "error": reason}))
}
