//! The simple path at the start of an expression, found the way Port's
//! integrations find it: in the text, ignoring parentheses around it and
//! whatever a pipe adds.

/// The keys of the path; none for the root alone or anything else.
pub(super) fn path(text: &str) -> Option<Vec<String>> {
    let mut text = text.trim();
    while let Some(inner) = text.strip_prefix('(') {
        text = inner.trim_start();
    }
    let head: &str = text.split(['|', ')']).next().unwrap_or_default().trim_end();
    let keys: Vec<String> = head
        .strip_prefix('.')?
        .split('.')
        .map(str::to_owned)
        .collect();
    keys.iter().all(|key| is_name(key)).then_some(keys)
}

fn is_name(key: &str) -> bool {
    let mut characters = key.chars();
    characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|character| character.is_ascii_alphanumeric() || character == '_')
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn the_path_at_the_start_is_found() {
        let keys = |keys: &[&str]| Some(keys.iter().map(|&key| key.to_owned()).collect());
        for (text, expected) in [
            (".rotations", keys(&["rotations"])),
            (".a.b_c", keys(&["a", "b_c"])),
            (".rotations | map(.)", keys(&["rotations"])),
            ("(.rotations | map(.))", keys(&["rotations"])),
            ("((.a.b)) | .[0:2]", keys(&["a", "b"])),
            (" .a|.b", keys(&["a"])),
            (".", None),
            ("[.a]", None),
            (".a[]", None),
            (".a[0].b", None),
            (".\"a\"", None),
            ("map(.a)", None),
            (".a + .b", None),
            ("", None),
        ] {
            assert_eq!(path(text), expected, "{text}");
        }
    }
}
