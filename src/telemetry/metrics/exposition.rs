//! The two text forms in which metrics are asked for.
//!
//! They differ in little: in OpenMetrics a counter's family has no `_total` at
//! its end and the text ends with a mark; in the older form of Prometheus both
//! are otherwise. What the library writes is the former without the mark.

/// A text form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    OpenMetrics,
    Plain,
}

impl Exposition {
    /// What a client gets that says `accept`. OpenMetrics, as the original,
    /// unless it asks for something else by name.
    pub fn for_accept(accept: Option<&str>) -> Self {
        let asks_for = |media_type: &str| {
            accept
                .unwrap_or_default()
                .split(',')
                .any(|range| range.trim_start().starts_with(media_type))
        };
        if !asks_for("application/openmetrics-text") && asks_for("text/plain") {
            Self::Plain
        } else {
            Self::OpenMetrics
        }
    }

    /// The value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Turns what the library wrote into this form.
    pub(super) fn finish(self, text: String) -> String {
        match self {
            Self::OpenMetrics => text + "# EOF\n",
            Self::Plain => plain(&text),
        }
    }
}

/// Names counters by their samples, and leaves out what the older form has not.
fn plain(text: &str) -> String {
    let mut lines = Vec::new();
    let mut help = None;
    for line in text.lines() {
        if line.starts_with("# UNIT ") {
            continue;
        }
        if let Some(rest) = line.strip_prefix("# HELP ") {
            // Whether it is a counter's is said in the next line.
            help = rest.split_once(' ');
            continue;
        }
        let described = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.split_once(' '));
        let Some((name, kind)) = described else {
            lines.push(line.to_owned());
            continue;
        };
        let total = if kind == "counter" { "_total" } else { "" };
        if let Some((_, help)) = help.take() {
            lines.push(format!("# HELP {name}{total} {help}"));
        }
        lines.push(format!("# TYPE {name}{total} {kind}"));
    }
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_what_everybody_gets_who_does_not_ask_for_plain_text() {
        let table = [
            (None, Exposition::OpenMetrics),
            (Some("*/*"), Exposition::OpenMetrics),
            (Some("text/html, */*;q=0.8"), Exposition::OpenMetrics),
            (Some("text/plain"), Exposition::Plain),
            (
                Some("text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
                Exposition::Plain,
            ),
            (
                Some(
                    "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ),
                Exposition::OpenMetrics,
            ),
        ];
        for (accept, expected) in table {
            assert_eq!(Exposition::for_accept(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn plain_text_names_a_counter_by_its_samples() {
        let open = "# HELP a_seconds Help.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\na_seconds_total 1\n\
                    # HELP b Help, too.\n# TYPE b gauge\nb 2\n";
        let expected = "# HELP a_seconds_total Help.\n# TYPE a_seconds_total counter\na_seconds_total 1\n\
                        # HELP b Help, too.\n# TYPE b gauge\nb 2\n";
        assert_eq!(Exposition::Plain.finish(open.to_owned()), expected);
    }
}
