//! What `/metrics` shows: in form, and as `docs/operations.md` describes it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use portolan::settings::SourceName;
use portolan::store::{SyncOutcome, SyncStepKind};
use portolan::telemetry::metrics::ocean::LastResync;
use portolan::telemetry::metrics::{
    self, ApiOutcome, Exposition, KafkaMessage, LiveResult, ObjectResult, ResyncCall, ResyncResult,
    SourceKind, SyncCall, SyncPass, WebhookResult,
};

/// Who measures what was held back does away with what others measured before.
static WITHHELD: Mutex<()> = Mutex::new(());

/// Everything that can be measured, measured: a metric without a series is not
/// exposed at all.
fn measure_everything() {
    let odd = SourceKind::new(Some(SourceName::Pagerduty), "a \"kind\"\\\nof {two}, lines");
    let second = Duration::from_secs(1);
    metrics::start();
    metrics::kinds_known(vec![odd.clone()]);
    for result in [
        ResyncResult::Done,
        ResyncResult::Partly,
        ResyncResult::Failed,
        ResyncResult::Stopped,
    ] {
        metrics::resync_began();
        metrics::resync_ended("once", result, second);
    }
    metrics::kind_succeeded(&odd, Timestamp::UNIX_EPOCH);
    metrics::objects(&odd, ObjectResult::Fetched, 3);
    metrics::objects(&odd, ObjectResult::Refused, 3);
    metrics::entities_deleted(1);
    metrics::deletion_failed();
    metrics::deletion_withheld("threshold", 2);
    metrics::stale_entities(2);
    for outcome in [
        ApiOutcome::Status(200),
        ApiOutcome::TimedOut,
        ApiOutcome::NotConnected,
    ] {
        metrics::api_request("Port", outcome, second);
        metrics::api_request("PagerDuty", outcome, Duration::from_millis(3));
    }
    metrics::api_retry("Port");
    metrics::api_rate_limit_waited("Port", second);
    metrics::api_budget("Port", Some(10), Some(3));
    metrics::resync_called(ResyncCall::Accepted);
    metrics::kafka_message(KafkaMessage::Accepted);
    for result in [SyncPass::Done, SyncPass::Partly, SyncPass::Failed] {
        metrics::sync_pass(result);
    }
    metrics::sync_last_success(Timestamp::UNIX_EPOCH);
    for call in [SyncCall::Accepted, SyncCall::Ignored, SyncCall::Refused] {
        metrics::sync_called(call);
    }
    metrics::sync_managed_incidents(2);
    metrics::sync_step(SyncStepKind::Open.as_str(), SyncOutcome::Done.as_str());
    {
        let _alone = WITHHELD.lock().unwrap();
        metrics::sync_withheld(&[("maintenance", 1)]);
    }
    metrics::sync_oldest_unannounced(Some(second));
    metrics::sync_announced_after(second);
    for result in [WebhookResult::Stored, WebhookResult::Unauthenticated] {
        metrics::webhook_answered(Some(SourceName::Opsgenie), result, second);
        metrics::webhook_answered(None, result, second);
    }
    for result in [LiveResult::Done, LiveResult::Again, LiveResult::GivenUp] {
        metrics::live_events(SourceName::Opsgenie, result, 2);
    }
    metrics::live_event_done_after(second);
    metrics::live_events_in_spool(3, 2, Some(second));
    let last = LastResync::default();
    last.duration("incident-0", "resync", second);
    last.count("incident-0", "extract", "raw_extracted", 3);
    last.success("incident-0", "resync", true);
    last.publish();
}

/// One metric, with all its samples.
#[derive(Debug, Default, PartialEq)]
struct Family {
    help: String,
    kind: String,
    unit: Option<String>,
    samples: Vec<Sample>,
}

#[derive(Debug, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// Reads an exposition and refuses what a strict scraper would refuse.
fn parse(text: &str, form: Exposition) -> Result<BTreeMap<String, Family>, String> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut series = BTreeSet::new();
    let mut current = String::new();
    let mut rest = text
        .strip_suffix('\n')
        .ok_or("the last line does not end")?;
    if form == Exposition::OpenMetrics {
        rest = rest
            .strip_suffix("\n# EOF")
            .ok_or("`# EOF` is not the last line")?;
    }
    for line in rest.split('\n') {
        let wrong = |what: &str| format!("{what}: {line}");
        if let Some(comment) = line.strip_prefix("# ") {
            let (keyword, comment) = comment.split_once(' ').ok_or_else(|| wrong("no keyword"))?;
            let (name, text) = comment.split_once(' ').ok_or_else(|| wrong("no text"))?;
            let family = if keyword == "HELP" {
                name.clone_into(&mut current);
                if families.contains_key(name) {
                    return Err(wrong("a family begins twice"));
                }
                families.entry(name.to_owned()).or_default()
            } else {
                families
                    .get_mut(name)
                    .filter(|_| name == current)
                    .ok_or_else(|| wrong("not below its help"))?
            };
            if !family.samples.is_empty() {
                return Err(wrong("after a sample"));
            }
            let field = match keyword {
                "HELP" => &mut family.help,
                "TYPE" => &mut family.kind,
                "UNIT"
                    if form == Exposition::OpenMetrics && name.ends_with(&format!("_{text}")) =>
                {
                    family.unit.get_or_insert_default()
                }
                _ => return Err(wrong("an unknown keyword or unit")),
            };
            if !field.is_empty() {
                return Err(wrong("said twice"));
            }
            text.clone_into(field);
            continue;
        }
        let sample = parse_sample(line).ok_or_else(|| wrong("not a sample"))?;
        let family = families
            .get_mut(&current)
            .ok_or_else(|| wrong("a sample of no family"))?;
        let total = if form == Exposition::OpenMetrics {
            "_total"
        } else {
            ""
        };
        let suffixes = match family.kind.as_str() {
            "counter" => vec![total],
            "gauge" => vec![""],
            "histogram" => vec!["_sum", "_count", "_bucket"],
            _ => return Err(wrong("a sample of no known type")),
        };
        if !suffixes
            .iter()
            .any(|suffix| sample.name == format!("{current}{suffix}"))
        {
            return Err(wrong("not a sample of the family above it"));
        }
        if family.kind == "counter" && !(sample.name.ends_with("_total") && sample.value >= 0.0) {
            return Err(wrong("not a counter"));
        }
        if !series.insert((sample.name.clone(), sample.labels.clone())) {
            return Err(wrong("a series is there twice"));
        }
        family.samples.push(sample);
    }
    for (name, family) in &families {
        if family.help.is_empty() || family.samples.is_empty() {
            return Err(format!("{name} has no help or no samples"));
        }
        if family.kind == "histogram" {
            check_buckets(name, family)?;
        }
    }
    Ok(families)
}

fn parse_sample(line: &str) -> Option<Sample> {
    let end =
        line.find(|letter: char| !(letter.is_ascii_alphanumeric() || "_:".contains(letter)))?;
    let (name, mut rest) = line.split_at(end);
    if name.is_empty() || name.starts_with(|letter: char| letter.is_ascii_digit()) {
        return None;
    }
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            if labels.insert(label.to_owned(), value).is_some() {
                return None;
            }
            if let Some(end) = after.strip_prefix('}') {
                rest = end;
                break;
            }
            rest = after.strip_prefix(',')?;
        }
    }
    let is_name = |label: &String| {
        label
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    labels.keys().all(is_name).then_some(())?;
    Some(Sample {
        name: name.to_owned(),
        labels,
        value: rest.strip_prefix(' ')?.parse().ok()?,
    })
}

/// The text up to the closing quote, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match letters.next()?.1 {
                'n' => '\n',
                escaped @ ('\\' | '"') => escaped,
                _ => return None,
            }),
            letter => value.push(letter),
        }
    }
    None
}

/// Each series' buckets rise up to `+Inf`, which has them all.
fn check_buckets(name: &str, family: &Family) -> Result<(), String> {
    let mut buckets: BTreeMap<_, Vec<(f64, f64)>> = BTreeMap::new();
    let mut counts = BTreeMap::new();
    for sample in &family.samples {
        let mut labels = sample.labels.clone();
        let bound = labels.remove("le");
        if sample.name.ends_with("_bucket") {
            let bound = bound
                .and_then(|bound| bound.parse().ok())
                .ok_or("a bucket without a bound")?;
            buckets
                .entry(labels)
                .or_default()
                .push((bound, sample.value));
        } else if sample.name.ends_with("_count") {
            counts.insert(labels, sample.value);
        }
    }
    for (labels, buckets) in &buckets {
        let rises = buckets.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1);
        let last = buckets.last().copied();
        if !rises
            || last.map(|last| last.0) != Some(f64::INFINITY)
            || last.map(|last| last.1) != counts.get(labels).copied()
        {
            return Err(format!(
                "the buckets of {name} {labels:?} do not add up: {buckets:?}"
            ));
        }
    }
    Ok(())
}

#[test]
fn the_exposition_is_in_form_in_both_of_its_forms() {
    measure_everything();
    let open = metrics::expose(Exposition::OpenMetrics, true);
    let open = parse(&open, Exposition::OpenMetrics).unwrap();
    let plain = metrics::expose(Exposition::Plain, true);
    let plain = parse(&plain, Exposition::Plain).unwrap();

    assert_eq!(open.len(), plain.len());
    let objects = &open["portolan_objects"].samples[0];
    assert_eq!(objects.labels["kind"], "a \"kind\"\\\nof {two}, lines");
    assert!(plain.contains_key("portolan_objects_total"));
}

#[test]
fn what_the_last_pass_did_not_hold_back_is_nought() {
    let _alone = WITHHELD.lock().unwrap();
    let withheld = || -> BTreeMap<String, f64> {
        let text = metrics::expose(Exposition::OpenMetrics, false);
        let mut families = parse(&text, Exposition::OpenMetrics).unwrap();
        let family = families.remove("portolan_incident_sync_withheld").unwrap();
        let samples = family.samples.into_iter();
        samples
            .map(|mut sample| (sample.labels.remove("reason").unwrap(), sample.value))
            .filter(|(reason, _)| reason.starts_with("tested"))
            .collect()
    };
    let expected = |one: f64, other: f64| {
        let expected = [("tested_one", one), ("tested_other", other)];
        BTreeMap::from(expected.map(|(reason, count)| (reason.to_owned(), count)))
    };

    metrics::sync_withheld(&[("tested_one", 3), ("tested_other", 1)]);
    assert_eq!(withheld(), expected(3.0, 1.0));
    metrics::sync_withheld(&[("tested_other", 2)]);
    assert_eq!(withheld(), expected(0.0, 2.0));
    metrics::sync_withheld(&[]);
    assert_eq!(withheld(), expected(0.0, 0.0));
}

#[test]
fn oceans_names_can_be_left_out_and_all_others_have_the_prefix() {
    measure_everything();
    let names = |ocean| -> BTreeSet<String> {
        let text = metrics::expose(Exposition::OpenMetrics, ocean);
        parse(&text, Exposition::OpenMetrics)
            .unwrap()
            .into_keys()
            .collect()
    };
    let own = names(false);
    assert!(
        own.iter().all(|name| name.starts_with("portolan_")),
        "{own:?}"
    );
    let oceans: Vec<_> = names(true).difference(&own).cloned().collect();
    assert_eq!(oceans, ["duration_seconds", "object_count", "success"]);
}

/// A metric as it is documented: name, type, labels, meaning.
type Row = (String, String, BTreeSet<String>, String);

fn documented() -> BTreeSet<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let document = std::fs::read_to_string(path).unwrap();
    let rows = document.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.strip_suffix(" |")?.split(" | ");
        let name = cells.next()?.trim_end_matches('`').to_owned();
        let kind = cells.next()?.to_owned();
        ["counter", "gauge", "histogram"]
            .contains(&kind.as_str())
            .then_some(())?;
        let labels = cells.next()?.split(", ").filter(|label| *label != "–");
        let labels = labels
            .map(|label| label.trim_matches('`').to_owned())
            .collect();
        Some((name, kind, labels, cells.next()?.to_owned()))
    });
    rows.collect()
}

#[test]
fn every_metric_is_documented_as_it_is_and_no_other() {
    measure_everything();
    let exposed = metrics::expose(Exposition::Plain, true);
    let exposed: BTreeSet<Row> = parse(&exposed, Exposition::Plain)
        .unwrap()
        .into_iter()
        .map(|(name, family)| {
            let samples = family.samples.iter();
            let labels = samples.flat_map(|sample| sample.labels.keys().cloned());
            let labels = labels.filter(|label| label != "le").collect();
            let help = family.help.trim_end_matches('.').to_owned();
            (name, family.kind, labels, help)
        })
        .collect();
    let documented = documented();
    let missing: Vec<_> = exposed.difference(&documented).map(row).collect();
    let unknown: Vec<_> = documented.difference(&exposed).map(row).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "docs/operations.md lacks\n{}\nand has, without their like in the program,\n{}",
        missing.join("\n"),
        unknown.join("\n"),
    );
}

/// The labels of everything that can be scraped, by the name of the sample.
pub(crate) fn exposed_labels() -> BTreeMap<String, BTreeSet<String>> {
    measure_everything();
    let exposed = metrics::expose(Exposition::Plain, true);
    let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for family in parse(&exposed, Exposition::Plain).unwrap().into_values() {
        for sample in family.samples {
            let known = labels.entry(sample.name).or_default();
            known.extend(sample.labels.into_keys());
        }
    }
    labels
}

fn row((name, kind, labels, meaning): &Row) -> String {
    let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
    let labels = if labels.is_empty() {
        "–".to_owned()
    } else {
        labels.join(", ")
    };
    format!("| `{name}` | {kind} | {labels} | {meaning} |")
}

#[test]
fn the_check_refuses_what_a_scraper_would_refuse() {
    let table = [
        "# HELP a A.\n# TYPE a gauge\na 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1\na 2\n# EOF\n",
        "# HELP a A.\n# TYPE a gauge\na_total 1\n# EOF\n",
        "# HELP a A.\n# TYPE a counter\na 1\n# EOF\n",
        "# HELP a A.\n# TYPE a counter\na_total -1\n# EOF\n",
        "# HELP a A.\n# TYPE a gauge\na{b=\"c\" 1\n# EOF\n",
        "# HELP a A.\n# TYPE a gauge\na{b=\"c\"d\"} 1\n# EOF\n",
        "# HELP a A.\n# TYPE a gauge\na{b=\"1\",b=\"2\"} 1\n# EOF\n",
        "# TYPE a gauge\na 1\n# EOF\n",
        "a 1\n# EOF\n",
        "# HELP a A.\n# TYPE a gauge\na 1\n# HELP b B.\n# TYPE b gauge\nb 1\na{c=\"d\"} 1\n# EOF\n",
        "# HELP a A.\n# TYPE a histogram\na_sum 1\na_count 2\na_bucket{le=\"1\"} 1\n# EOF\n",
        "# HELP a A.\n# TYPE a histogram\na_sum 1\na_count 2\na_bucket{le=\"1\"} 3\na_bucket{le=\"+Inf\"} 2\n# EOF\n",
    ];
    for text in table {
        assert!(parse(text, Exposition::OpenMetrics).is_err(), "{text}");
    }
    let fine = "# HELP a A.\n# TYPE a gauge\na{b=\"c\\\\\\\"\\n\"} 1\n# EOF\n";
    assert!(parse(fine, Exposition::OpenMetrics).is_ok());
}
