//! `portolan events`: live events that wait and that were given up, and a way to
//! have the latter tried again.
//!
//! It looks into the file while a service works with it, which SQLite allows, or
//! into the Redis that its replicas share; what is put back they find by themselves.

use std::path::Path;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::json;

use super::Exit;
use super::logging;
use super::output::print;
use super::start::shared_redis;
use crate::causes::with_hint;
use crate::cli::EventsArguments;
use crate::live_events::{Counts, DeadEvent, Spool, SpoolError};
use crate::settings::{Overrides, Settings};
use crate::store::IN_MEMORY;

/// Of what was given up, the newest that are shown. Whoever has more of them has
/// one reason for all.
const SHOWN: u32 = 100;

/// The same as JSON, which machines read.
const SHOWN_AS_JSON: u32 = 10_000;

/// How many are put back at once.
const AT_ONCE: u32 = 500;

/// Errors are sentences; a table has room for half of one.
const LONGEST_ERROR: usize = 80;

/// Runs the command to its end.
pub(super) async fn run(arguments: EventsArguments) -> Exit {
    let (loaded, _logging) = match logging::set_up(Overrides {
        log_level: arguments.log_level,
        ..Overrides::default()
    }) {
        Ok(set_up) => set_up,
        Err(exit) => return exit,
    };
    let spool = match open(&loaded.settings).await {
        Ok(spool) => spool,
        Err(exit) => return exit,
    };
    match act(&spool, &arguments).await {
        Ok(exit) => exit,
        Err(error) => {
            tracing::error!("{}", with_hint(&error, error.hint()));
            Exit::Failed
        }
    }
}

async fn open(settings: &Settings) -> Result<Spool, Exit> {
    let redis = shared_redis(settings).await?;
    let path = &settings.state_path;
    if redis.is_none() && path == Path::new(IN_MEMORY) {
        tracing::error!(
            "There is nothing to look into: OCEAN__STATE_PATH is `{IN_MEMORY}`, so live events are in the memory of the service"
        );
        return Err(Exit::NotStarted);
    }
    if redis.is_none() && !path.exists() {
        tracing::error!(
            "There is no state database {}. Hint: run this where the service runs, with the same environment",
            path.display()
        );
        return Err(Exit::NotStarted);
    }
    Ok(Spool::open(settings, redis.as_ref()).await)
}

async fn act(spool: &Spool, arguments: &EventsArguments) -> Result<Exit, SpoolError> {
    if arguments.replay_all {
        let count = replay_all(spool).await?;
        print(&told_replayed(count, count, arguments.json));
        return Ok(Exit::Done);
    }
    if !arguments.replay.is_empty() {
        let wanted = arguments.replay.len();
        let count = spool.replay(&arguments.replay).await?;
        print(&told_replayed(count, wanted, arguments.json));
        return Ok(match count {
            0 => Exit::Failed,
            count if count < wanted => Exit::Partly,
            _ => Exit::Done,
        });
    }
    let counts = spool.counts().await?;
    let text = if arguments.json {
        let dead = spool.dead(SHOWN_AS_JSON).await?;
        as_json(counts, &dead)
    } else {
        let dead = spool.dead(SHOWN).await?;
        for_people(counts, &dead)
    };
    print(&text);
    Ok(Exit::Done)
}

async fn replay_all(spool: &Spool) -> Result<usize, SpoolError> {
    let mut all = 0;
    loop {
        let dead = spool.dead(AT_ONCE).await?;
        let ids: Vec<_> = dead.into_iter().map(|dead| dead.id).collect();
        let count = spool.replay(&ids).await?;
        all += count;
        // None: there are no more, or a service is at it, too.
        if count == 0 {
            return Ok(all);
        }
    }
}

fn told_replayed(count: usize, wanted: usize, as_json: bool) -> String {
    match (as_json, count) {
        (true, _) => json!({ "replayed": count }).to_string(),
        (false, _) if count < wanted => {
            format!("Put back {count} of {wanted}: the others are not among what was given up.")
        }
        (false, 0) => "There was nothing to put back.".to_owned(),
        (false, 1) => "Put back 1 live event.".to_owned(),
        (false, _) => format!("Put back {count} live events."),
    }
}

fn as_json(counts: Counts, dead: &[DeadEvent]) -> String {
    let document = json!({
        "waiting": counts.waiting,
        "oldest": counts.oldest,
        "dead": counts.dead,
        "dead_events": dead,
    });
    // Plain data, which JSON can hold.
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

fn for_people(counts: Counts, dead: &[DeadEvent]) -> String {
    let since = counts
        .oldest
        .map(|oldest| format!(", the first since {oldest:.0}"))
        .unwrap_or_default();
    let mut text = format!(
        "waiting: {}{since}\ngiven up: {}",
        counts.waiting, counts.dead
    );
    if dead.is_empty() {
        return text;
    }
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header([
            "id", "about", "event", "received", "given up", "attempts", "error",
        ]);
    for dead in dead {
        let DeadEvent {
            id,
            event,
            attempts,
            error,
            died,
        } = dead;
        table.add_row([
            id.clone(),
            event.subject.key(),
            event.event_type.clone(),
            format!("{:.0}", event.received),
            format!("{died:.0}"),
            attempts.to_string(),
            shortened(error),
        ]);
    }
    let shown = u64::try_from(dead.len()).unwrap_or(u64::MAX);
    let rest = counts.dead.saturating_sub(shown);
    text = format!("{text}\n\n{table}");
    if rest > 0 {
        text = format!("{text}\n\nand {rest} more; --json shows more of them.");
    }
    text
}

/// On one line, and not longer than it is read.
pub(super) fn shortened(error: &str) -> String {
    let mut line = error.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(LONGEST_ERROR) {
        line.truncate(end);
        line.push('…');
    }
    line.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::live_events::{NewEvent, Subject, Thing};
    use crate::settings::SourceName;

    fn dead(id: &str, error: &str) -> DeadEvent {
        let received: Timestamp = "2026-02-03T04:05:06.789Z".parse().unwrap();
        DeadEvent {
            id: id.to_owned(),
            event: NewEvent {
                delivery: "d1".to_owned(),
                subject: Subject {
                    source: SourceName::Pagerduty,
                    account: Some("eu".to_owned()),
                    thing: Thing::PagerdutyIncident,
                    id: "PINC7".to_owned(),
                    page: None,
                },
                event_type: "incident.annotated".to_owned(),
                is_gone: false,
                payload: json!({"id": "PINC7"}),
                received,
            },
            attempts: 3,
            error: error.to_owned(),
            died: received,
        }
    }

    #[test]
    fn what_was_given_up_is_a_table_for_people() {
        let counts = Counts {
            waiting: 2,
            dead: 3,
            oldest: Some("2026-02-03T04:05:06.789Z".parse().unwrap()),
        };
        let long = format!("PagerDuty answered\n500 | {}", "again ".repeat(30));
        let text = for_people(
            counts,
            &[dead("7", "the mapping is wrong"), dead("5", &long)],
        );
        insta::assert_snapshot!(text, @r"
        waiting: 2, the first since 2026-02-03T04:05:06Z
        given up: 3

        | id | about                       | event              | received             | given up             | attempts | error                                                                              |
        |----|-----------------------------|--------------------|----------------------|----------------------|----------|------------------------------------------------------------------------------------|
        | 7  | pagerduty/eu/incident/PINC7 | incident.annotated | 2026-02-03T04:05:06Z | 2026-02-03T04:05:06Z | 3        | the mapping is wrong                                                               |
        | 5  | pagerduty/eu/incident/PINC7 | incident.annotated | 2026-02-03T04:05:06Z | 2026-02-03T04:05:06Z | 3        | PagerDuty answered 500 \| again again again again again again again again again a… |

        and 1 more; --json shows more of them.
        ");
    }

    #[test]
    fn without_any_there_is_no_table() {
        insta::assert_snapshot!(for_people(Counts::default(), &[]), @r"
        waiting: 0
        given up: 0
        ");
    }

    #[test]
    fn what_was_put_back_is_told() {
        assert_eq!(told_replayed(0, 0, false), "There was nothing to put back.");
        assert_eq!(told_replayed(1, 1, false), "Put back 1 live event.");
        assert_eq!(told_replayed(7, 7, false), "Put back 7 live events.");
        assert_eq!(
            told_replayed(1, 2, false),
            "Put back 1 of 2: the others are not among what was given up."
        );
        assert_eq!(told_replayed(1, 2, true), r#"{"replayed":1}"#);
    }
}
