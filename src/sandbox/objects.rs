//! Changing a vendor's objects from another shell: `/sandbox/objects/<kind>` and
//! `/sandbox/objects/<kind>/<id>`.

use serde_json::{Map, Value};

use super::chassis::Reply;
use super::chassis::remote::{done, refused};
use super::table::{Facts, Table};

/// Lists, adds, changes and removes the objects of a table; `None` for a route
/// that there is not.
pub(super) fn control<F: Facts>(
    table: &mut Table<F>,
    method: &str,
    path: &[&str],
    body: Option<Value>,
) -> Option<Reply> {
    match (method, path) {
        ("GET", []) => {
            let all: Map<String, Value> = table
                .rows()
                .map(|row| (row.id.clone(), row.object()))
                .collect();
            Some(Reply::json(200, &Value::Object(all)))
        }
        ("GET", [id]) => Some(
            table
                .row(id)
                .map_or_else(absent, |row| Reply::raw_json(200, row.text.to_string())),
        ),
        ("POST", []) => Some(given(body).map_or_else(
            |refusal| refusal,
            |object| {
                table.insert(&Value::Object(object));
                done()
            },
        )),
        ("PATCH", [id]) => Some(given(body).map_or_else(
            |refusal| refusal,
            |change| {
                let found = table.update(id, |object| {
                    if let Some(members) = object.as_object_mut() {
                        members.extend(change);
                    }
                });
                if found { done() } else { absent() }
            },
        )),
        ("DELETE", [id]) => Some(table.remove(id).map_or_else(absent, |_| done())),
        _ => None,
    }
}

fn given(body: Option<Value>) -> Result<Map<String, Value>, Reply> {
    match body {
        Some(Value::Object(object)) => Ok(object),
        _ => Err(refused(400, "The body must be a JSON object")),
    }
}

fn absent() -> Reply {
    refused(404, "There is no such object")
}
