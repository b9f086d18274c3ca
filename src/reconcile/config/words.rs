//! The closed lists of words that the document, the plan and both APIs share.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A word that is none of its list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is none of {}", known.join(", "))]
pub struct UnknownWord {
    pub found: String,
    pub known: Vec<&'static str>,
}

/// An enum and the words for it, in the order of the list.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$note:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$note])* $variant,)+ }

        impl $name {
            pub const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant),)+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                let found = Self::WORDS.iter().find(|(word, _)| *word == text);
                found.map(|(_, meant)| *meant).ok_or_else(|| UnknownWord {
                    found: text.to_owned(),
                    known: Self::WORDS.iter().map(|(word, _)| *word).collect(),
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

words! {
    /// Whose incidents, or alerts, a rule is about.
    AlertSource {
        Pagerduty = "pagerduty",
        OpsgenieAlert = "opsgenie.alert",
        OpsgenieIncident = "opsgenie.incident",
    }
}

words! {
    /// What Statuspage says of a component, from the least to the worst.
    ComponentStatus {
        Operational = "operational",
        UnderMaintenance = "under_maintenance",
        DegradedPerformance = "degraded_performance",
        PartialOutage = "partial_outage",
        MajorOutage = "major_outage",
    }
}

words! {
    /// The state of a public incident that is not over.
    IncidentStatus {
        Investigating = "investigating",
        Identified = "identified",
        Monitoring = "monitoring",
    }
}

words! {
    /// What one public incident stands for.
    Group {
        /// One component, and whatever has befallen it.
        Component = "component",
        /// One incident of the source, with all its components.
        Incident = "incident",
    }
}

words! {
    /// The state of a source incident that is not over. Each source has words of its own
    /// for it; these are the record's.
    Status {
        Open = "open",
        Acknowledged = "acknowledged",
    }
}

impl AlertSource {
    /// The source's own words for the states that are not over.
    pub const fn statuses(self) -> &'static [(&'static str, Status)] {
        match self {
            Self::Pagerduty => &[
                ("triggered", Status::Open),
                ("acknowledged", Status::Acknowledged),
            ],
            Self::OpsgenieAlert => &[
                ("open", Status::Open),
                ("acknowledged", Status::Acknowledged),
            ],
            // Nobody can acknowledge an incident of Opsgenie.
            Self::OpsgenieIncident => &[("open", Status::Open)],
        }
    }

    /// The status that the source means by `word`; None when it is over, or no such word.
    pub fn status(self, word: &str) -> Option<Status> {
        let mut statuses = self.statuses().iter();
        statuses
            .find(|(known, _)| *known == word)
            .map(|(_, status)| *status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_as_they_are_written() {
        for (word, status) in ComponentStatus::WORDS {
            assert_eq!(status.to_string(), *word);
            assert_eq!(word.parse(), Ok(*status));
        }
        insta::assert_snapshot!(
            "paused".parse::<Group>().unwrap_err(),
            @"`paused` is none of component, incident"
        );
    }

    #[test]
    fn the_worse_status_of_a_component_is_the_greater() {
        assert!(ComponentStatus::MajorOutage > ComponentStatus::PartialOutage);
        assert!(ComponentStatus::DegradedPerformance > ComponentStatus::UnderMaintenance);
        assert!(ComponentStatus::UnderMaintenance > ComponentStatus::Operational);
    }

    #[test]
    fn each_source_has_words_of_its_own() {
        assert_eq!(
            AlertSource::Pagerduty.status("triggered"),
            Some(Status::Open)
        );
        assert_eq!(AlertSource::OpsgenieAlert.status("triggered"), None);
        assert_eq!(AlertSource::OpsgenieIncident.status("resolved"), None);
    }
}
