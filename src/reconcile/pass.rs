//! One pass: look at both sides, work out what is missing, do it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::accounts::Account;
use super::alert::{Ending, SourceId, SourceIncident};
use super::apply::{Applied, Applier, Outcome, noted};
use super::config::{AlertSource, Mode};
use super::desired::{Desired, Wish, desired};
use super::model::{ComponentId, ObservedPage, PageId, PublicIncident};
use super::pages::{Reached, explain};
use super::plan::{Ended, Plan, Situation, Unsettled, plan};
use super::report::{PageReport, Report, Seen};
use super::rules::{Tags, Undecided, tag};
use super::step::Step;
use super::{Ask, Reconciler};
use crate::jq;

/// Pages, accounts and objects that are asked for at a time.
const AT_A_TIME: usize = 4;

/// Both sides, as far as they could be seen.
struct Observed {
    pages: Vec<(Reached, ObservedPage)>,
    incidents: Vec<SourceIncident>,
    /// Whether all alert accounts were read to their end.
    is_complete: bool,
    /// Whether all pages were.
    has_all_pages: bool,
    problems: Vec<String>,
}

impl Reconciler {
    /// Runs one pass. Comes to its end early, between two steps, once `stop` is
    /// cancelled.
    pub async fn pass(&self, ask: Ask, stop: &CancellationToken) -> Report {
        self.begin_to_say();
        let report = self.run(ask, stop).await;
        self.measure(&report);
        report
    }

    async fn run(&self, ask: Ask, stop: &CancellationToken) -> Report {
        let Some(mut observed) = stop.run_until_cancelled(self.observe()).await else {
            return Report::stopped(ask.mode);
        };
        let seen = match (
            observed.pages.is_empty(),
            observed.has_all_pages,
            observed.is_complete,
        ) {
            (true, false, _) => Seen::Nothing,
            (_, true, true) => Seen::Everything,
            _ => Seen::Partly,
        };
        let mut report = Report {
            mode: ask.mode,
            pages: Vec::new(),
            problems: std::mem::take(&mut observed.problems),
            unknown_components: Vec::new(),
            seen,
            again_at: None,
        };
        if seen == Seen::Nothing {
            self.say_problems(&report.problems);
            return report;
        }
        let listed: BTreeMap<SourceId, SourceIncident> = observed
            .incidents
            .iter()
            .map(|incident| (incident.id.clone(), incident.clone()))
            .collect();
        let tags = self.tag(std::mem::take(&mut observed.incidents)).await;
        let undecided = report_undecided(&tags, &mut report);
        let (reached, pages): (Vec<Reached>, Vec<ObservedPage>) =
            std::mem::take(&mut observed.pages).into_iter().unzip();
        let wish = desired(&self.config.rules, tags.tagged, &pages);
        if observed.has_all_pages {
            report.unknown_components = unknown_components(&wish);
        }
        self.say_problems(&report.problems);
        self.say_problems(&report.unknown_components);

        let work = reached.into_iter().zip(pages).map(|(reached, page)| {
            let of_page = |desired: &&Desired| desired.page == page.page.id;
            let desired: Vec<Desired> = wish.incidents.iter().filter(of_page).cloned().collect();
            let situation = Situation {
                now: (self.now)(),
                config: &self.config,
                desired,
                is_complete: observed.is_complete,
                undecided: undecided.clone(),
                accounts: self.configured(),
                endings: BTreeMap::new(),
                unsettled: Vec::new(),
                quiet_until: self.quiet_until(&page.page.id),
                page,
            };
            self.work_on(reached, situation, &listed, ask, stop)
        });
        report.pages = together(work.map(FutureExt::boxed).collect()).await;
        report.again_at = self.again_at(&report);
        self.measure_unannounced(&wish, &report);
        report
    }

    /// Reads both sides at the same time.
    async fn observe(&self) -> Observed {
        let (pages, alerts) = tokio::join!(self.observe_pages(), self.read_accounts());
        let (pages, has_all_pages, mut problems) = pages;
        let (incidents, more) = alerts;
        let is_complete = more.is_empty();
        problems.extend(more);
        Observed {
            pages,
            incidents,
            is_complete,
            has_all_pages,
            problems,
        }
    }

    async fn observe_pages(&self) -> (Vec<(Reached, ObservedPage)>, bool, Vec<String>) {
        let mut problems = Vec::new();
        let mut reached: Vec<Reached> = Vec::new();
        for key in &self.keys {
            match key.pages().await {
                Ok((pages, unseen)) => {
                    for page in pages {
                        let is_wanted = self.config.pages.is_empty()
                            || self
                                .config
                                .pages
                                .iter()
                                .any(|id| id == page.page.id.as_str());
                        // The first key that sees a page is used for it.
                        let is_known = reached.iter().any(|known| known.page.id == page.page.id);
                        if is_wanted && !is_known {
                            reached.push(page);
                        }
                    }
                    problems.extend(unseen.into_iter().map(|id| {
                        format!(
                            "{} does not see the status page {id}. Hint: correct the page's identifier, or give the key's owner access",
                            key.label
                        )
                    }));
                }
                Err(error) => problems.push(format!(
                    "The pages of {} could not be read, so they are left alone: {}",
                    key.label,
                    error.explain()
                )),
            }
        }
        if reached.is_empty() && problems.is_empty() {
            problems.push(
                "No Statuspage key sees a status page. Hint: give a key's owner access to one, and check `pages`"
                    .to_owned(),
            );
        }
        let missing = self.config.pages.iter().filter(|id| {
            let is_there = reached.iter().any(|known| known.page.id.as_str() == *id);
            !is_there && problems.is_empty()
        });
        let missing: Vec<String> = missing
            .map(|id| format!("no Statuspage key sees the status page {id}, which `pages` names"))
            .collect();
        problems.extend(missing);

        let looks = reached.into_iter().map(async |page| {
            let observed = page.observe(&self.config.owner).await;
            (page, observed)
        });
        let mut pages = Vec::new();
        for (page, observed) in together(looks.map(FutureExt::boxed).collect()).await {
            match observed {
                Ok(observed) => pages.push((page, observed)),
                Err(error) => problems.push(format!(
                    "Status page {} could not be read, so it is left alone: {}",
                    page.page.id,
                    error.explain()
                )),
            }
        }
        (pages, problems.is_empty(), problems)
    }

    /// What is unresolved in all accounts, and what kept accounts from being
    /// read.
    async fn read_accounts(&self) -> (Vec<SourceIncident>, Vec<String>) {
        let reads = self
            .accounts
            .iter()
            .map(async |account: &Account| (account, account.unresolved(&self.config.rules).await));
        let mut incidents = Vec::new();
        let mut problems = Vec::new();
        for (account, read) in together(reads.map(FutureExt::boxed).collect()).await {
            match read {
                Ok(mut read) => incidents.append(&mut read),
                Err(error) => problems.push(format!(
                    "The alert account `{}` could not be read, so nothing is resolved: {}",
                    account.name,
                    explain(&error)
                )),
            }
        }
        (incidents, problems)
    }

    async fn tag(&self, incidents: Vec<SourceIncident>) -> Tags {
        let (rules, limits) = (self.config.rules.clone(), self.limits.clone());
        let kept = incidents.clone();
        let tags = jq::on_large_stack(move || tag(&rules, incidents, &limits)).await;
        tags.unwrap_or_else(|panicked| Tags {
            tagged: Vec::new(),
            undecided: kept
                .into_iter()
                .map(|incident| Undecided {
                    incident,
                    reason: panicked.to_string(),
                })
                .collect(),
        })
    }

    fn configured(&self) -> BTreeSet<(AlertSource, String)> {
        let sources = |account: &Account| {
            let all = AlertSource::WORDS.iter().map(|(_, source)| *source);
            all.filter(|source| account.has(*source))
                .flat_map(|source| account.names().map(move |name| (source, name.clone())))
                .collect::<Vec<_>>()
        };
        self.accounts.iter().flat_map(sources).collect()
    }

    /// Plans for one page and, in that mode, carries the plan out.
    async fn work_on(
        &self,
        reached: Reached,
        mut situation: Situation<'_>,
        listed: &BTreeMap<SourceId, SourceIncident>,
        ask: Ask,
        stop: &CancellationToken,
    ) -> PageReport {
        situation.endings = self.endings(&situation, listed).await;
        situation.unsettled = self.unsettled(&situation).await;
        let recalled = self.recall(&reached, &situation).await;
        situation.page.resolved.extend(recalled);
        let page = situation.page.page.clone();
        let observed = situation.page.clone();
        let managed = situation.own_count();
        let names = situation.page.names();
        let Plan { steps, withheld } = plan(situation);
        self.say_withheld(&withheld);
        let subscribers = if ask.with_subscribers {
            // Not every key may know; then nobody is told.
            reached.client.subscriber_count(page.id.as_str()).await.ok()
        } else {
            None
        };
        let steps = match ask.mode {
            Mode::Apply => {
                let applier = Applier::new(
                    &reached,
                    &observed,
                    &self.config.owner,
                    &self.store,
                    &self.now,
                );
                let done = applier.apply(steps, stop).await;
                self.note_doubts(&page.id, &done);
                done
            }
            Mode::Plan | Mode::Off => self.only_say(steps).await,
        };
        PageReport {
            page,
            subscribers,
            steps,
            withheld,
            managed,
            names,
        }
    }

    /// Says what would be done, and keeps it in the audit trail, once.
    async fn only_say(&self, steps: Vec<Step>) -> Vec<Applied> {
        let mut planned = Vec::with_capacity(steps.len());
        for step in steps {
            let line = format!(
                "Status page {}: would {} {}, because {}",
                step.page,
                step.kind.as_str(),
                step.key,
                step.reason
            );
            if self.say(&line, false) {
                let noted = self
                    .store
                    .step_began(noted(&step, Mode::Plan, (self.now)()))
                    .await;
                self.store
                    .step_ended(noted, (self.now)(), Outcome::Planned, None, None)
                    .await;
            }
            planned.push(Applied {
                step,
                outcome: Outcome::Planned,
                detail: None,
            });
        }
        planned
    }

    /// How the source incidents ended of what is not desired any more.
    async fn endings(
        &self,
        situation: &Situation<'_>,
        listed: &BTreeMap<SourceId, SourceIncident>,
    ) -> BTreeMap<SourceId, Ended> {
        let ids = situation.sources_of_unwanted();
        let looks = ids.into_iter().map(async |id| {
            let ended = match listed.get(&id) {
                // It is there, and no rule wants anything public for it any more.
                Some(incident) => Ended {
                    ending: Ending::Over(Some(incident.since)),
                    object: Some(Arc::clone(&incident.object)),
                },
                None => self.look_up(&id).await,
            };
            (id, ended)
        });
        let ended = together(looks.map(FutureExt::boxed).collect()).await;
        ended.into_iter().collect()
    }

    async fn look_up(&self, id: &SourceId) -> Ended {
        let is_meant = |account: &&Account| {
            account.has(id.source) && account.names().any(|name| *name == id.account)
        };
        match self.accounts.iter().find(is_meant) {
            Some(account) => self.judged(id, account.look_up(id).await),
            None => Ended::unknown(),
        }
    }

    /// What is unresolved, but in a state that no rule is about, is over as far
    /// as the public is concerned; no list was asked for it.
    fn judged(&self, id: &SourceId, ended: Ended) -> Ended {
        let found = ended
            .object
            .as_ref()
            .filter(|_| ended.ending == Ending::Unresolved)
            .and_then(|object| SourceIncident::parse(id.source, &id.account, Value::clone(object)));
        let is_over = |incident: &SourceIncident| {
            !self.config.rules.iter().any(|rule| rule.is_about(incident))
        };
        match found.filter(is_over) {
            Some(incident) => Ended {
                ending: Ending::Over(Some(incident.since)),
                ..ended
            },
            None => ended,
        }
    }

    /// Incidents that were resolved for what is to be announced now, and are not
    /// among the newest any more. The journal knows them; losing it means that
    /// such an incident is opened anew rather than reopened or left to a human.
    async fn recall(&self, reached: &Reached, situation: &Situation<'_>) -> Vec<PublicIncident> {
        let opened = self
            .store
            .last_opened(situation.page.page.id.as_str())
            .await;
        let forgotten = situation.forgotten(&opened);
        let looks = forgotten
            .iter()
            .map(|id| reached.incident(id, &self.config.owner).boxed());
        let found = together(looks.collect()).await;
        found
            .into_iter()
            .filter_map(|found| found.ok().flatten())
            .filter(PublicIncident::is_resolved)
            .collect()
    }

    /// Incidents that were written lately and may not show yet.
    async fn unsettled(&self, situation: &Situation<'_>) -> Vec<Unsettled> {
        let settle = self.config.guards.settle;
        let since = situation.now.checked_sub(settle).unwrap_or(Timestamp::MIN);
        // Where the journal cannot be read there is still the look before each
        // write; a status page must not fall silent because of a full disk.
        let mut opens = self.store.unsettled(since).await.unwrap_or_default();
        // What shows on the page has settled.
        let (unresolved, resolved) = (&situation.page.unresolved, &situation.page.resolved);
        opens.retain(|open| {
            let mut shown = unresolved.iter().chain(resolved);
            !shown.any(|incident| Some(incident.id.as_str()) == open.incident.as_deref())
        });
        let page = situation.page.page.id.as_str();
        opens
            .into_iter()
            .filter(|open| open.page == page)
            .filter_map(|open| {
                Some(Unsettled {
                    key: serde_json::from_value(Value::String(open.key)).ok()?,
                    components: open
                        .components
                        .iter()
                        .map(|id| ComponentId::from(id.as_str()))
                        .collect(),
                    until: open.last.checked_add(settle).ok()?,
                })
            })
            .collect()
    }

    fn quiet_until(&self, page: &PageId) -> Option<Timestamp> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.quiet.get(page).copied()
    }

    /// Remembers a page on which a write is in doubt.
    fn note_doubts(&self, page: &PageId, applied: &[Applied]) {
        if !applied.iter().any(|step| step.outcome == Outcome::Unknown) {
            return;
        }
        let until = (self.now)().checked_add(self.config.guards.settle);
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory
            .quiet
            .extend(until.ok().map(|until| (page.clone(), until)));
    }

    /// The next moment at which something is due.
    fn again_at(&self, report: &Report) -> Option<Timestamp> {
        let due = report
            .pages
            .iter()
            .flat_map(|page| &page.withheld)
            .filter_map(|withheld| withheld.due);
        let quiet = report
            .pages
            .iter()
            .filter_map(|page| self.quiet_until(&page.page.id));
        let now = (self.now)();
        let skipped = (report.count(Outcome::Skipped) > 0).then_some(now);
        // What was due before this pass has had its turn.
        let ahead = due.chain(quiet).filter(|at| *at > now);
        ahead.chain(skipped).min()
    }
}

/// Does all of it, some at a time, and gives what came of it in its order.
async fn together<T>(work: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    stream::iter(work).buffered(AT_A_TIME).collect().await
}

/// Notes the source incidents about which a rule could not say anything.
fn report_undecided(tags: &Tags, report: &mut Report) -> BTreeSet<SourceId> {
    report
        .problems
        .extend(tags.undecided.iter().map(|undecided| {
            format!(
                "{}: {}; what stands for it stays as it is",
                undecided.incident.id, undecided.reason
            )
        }));
    let ids = tags.undecided.iter();
    ids.map(|undecided| undecided.incident.id.clone()).collect()
}

fn unknown_components(wish: &Wish) -> Vec<String> {
    let mut names: BTreeMap<&str, &SourceId> = BTreeMap::new();
    for unknown in &wish.unknown {
        names.entry(&unknown.name).or_insert(&unknown.source);
    }
    names
        .into_iter()
        .map(|(name, source)| {
            format!(
                "{source} names the component `{name}`, and no status page that is kept in step has one of that identifier or name"
            )
        })
        .collect()
}
