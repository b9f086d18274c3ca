//! The settings that each source brings: the `configurations` of the
//! originals' specifications, and what is added to them here.
//!
//! A setting has the name the original gave it, which works while its source
//! is the only one, and a name with the source in front, which always works.
//! For some the two are the same.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::table::{DefaultValue, Effect, SettingRow};
use super::value::ValueType;

/// Where every setting of a source lives.
pub(super) const PREFIX: &str = "OCEAN__INTEGRATION__CONFIG__";

/// A setting of one source.
pub(super) struct SourceSetting {
    /// As in the specification: camelCase.
    pub(super) name: &'static str,
    /// The name that always works; `None` where `name` itself does.
    pub(super) prefixed: Option<&'static str>,
    pub(super) value_type: ValueType,
    pub(super) default: DefaultValue,
    pub(super) sensitive: bool,
    pub(super) meaning: &'static str,
}

const fn setting(
    name: &'static str,
    value_type: ValueType,
    default: DefaultValue,
    meaning: &'static str,
) -> SourceSetting {
    SourceSetting {
        name,
        prefixed: None,
        value_type,
        default,
        sensitive: false,
        meaning,
    }
}

impl SourceSetting {
    const fn prefixed(self, prefixed: &'static str) -> Self {
        Self {
            prefixed: Some(prefixed),
            ..self
        }
    }

    const fn sensitive(self) -> Self {
        Self {
            sensitive: true,
            ..self
        }
    }
}

/// Two originals gave the address of their API this name.
const API_URL: SourceSetting = setting(
    "apiUrl",
    ValueType::Url,
    DefaultValue::Absent,
    "The API of the one source that is on, PagerDuty or Opsgenie; that source's own default when absent",
);

const APP_HOST: &str =
    "Public URL of this service, which Statuspage and PagerDuty are told to send webhooks to";

pub(super) const STATUSPAGE: &[SourceSetting] = &[
    setting(
        "statuspageApiKey",
        ValueType::Text,
        DefaultValue::Absent,
        "Statuspage API key; switches the source on",
    )
    .sensitive(),
    setting(
        "statuspageHost",
        ValueType::Url,
        DefaultValue::Value("https://api.statuspage.io"),
        "Statuspage's API",
    ),
    setting(
        "statuspageIds",
        ValueType::List,
        DefaultValue::Absent,
        "Pages to read; all that the key may read when absent",
    ),
    setting(
        "statuspageAccounts",
        ValueType::Accounts {
            example: r#"[{"name":"eu","api_key":"…","host":"https://…","ids":["…"]}]"#,
        },
        DefaultValue::Absent,
        "Several Statuspage keys; each needs `name` and `api_key`",
    )
    .sensitive(),
    setting("appHost", ValueType::Url, DefaultValue::Absent, APP_HOST)
        .prefixed("statuspageAppHost"),
];

pub(super) const PAGERDUTY: &[SourceSetting] = &[
    setting(
        "token",
        ValueType::Text,
        DefaultValue::Absent,
        "PagerDuty API token; switches the source on",
    )
    .prefixed("pagerdutyToken")
    .sensitive(),
    API_URL,
    setting(
        "pagerdutyApiUrl",
        ValueType::Url,
        DefaultValue::Value("https://api.pagerduty.com"),
        "PagerDuty's API; `https://api.eu.pagerduty.com` in the EU region",
    ),
    setting(
        "pagerdutyAccounts",
        ValueType::Accounts {
            example: r#"[{"name":"eu","token":"…","api_url":"https://…"}]"#,
        },
        DefaultValue::Absent,
        "Several PagerDuty accounts; each needs `name` and `token`",
    )
    .sensitive(),
    setting("appHost", ValueType::Url, DefaultValue::Absent, APP_HOST).prefixed("pagerdutyAppHost"),
];

pub(super) const OPSGENIE: &[SourceSetting] = &[
    setting(
        "apiToken",
        ValueType::Text,
        DefaultValue::Absent,
        "Opsgenie API key; switches the source on",
    )
    .prefixed("opsgenieApiToken")
    .sensitive(),
    API_URL,
    setting(
        "opsgenieApiUrl",
        ValueType::Url,
        DefaultValue::Value("https://api.opsgenie.com"),
        "Opsgenie's API; `https://api.eu.opsgenie.com` in the EU region",
    ),
    setting(
        "opsgenieAccounts",
        ValueType::Accounts {
            example: r#"[{"name":"eu","api_token":"…","api_url":"https://…"}]"#,
        },
        DefaultValue::Absent,
        "Several Opsgenie accounts; each needs `name` and `api_token`",
    )
    .sensitive(),
];

/// The rows of the settings table that the sources bring, each variable once.
pub(super) fn rows() -> Vec<SettingRow> {
    let mut seen = BTreeSet::new();
    let mut rows = Vec::new();
    for setting in [STATUSPAGE, PAGERDUTY, OPSGENIE].into_iter().flatten() {
        for name in [Some(setting.name), setting.prefixed].into_iter().flatten() {
            let variable = variable(name);
            if seen.insert(variable.clone()) {
                rows.push(SettingRow {
                    variable: Cow::Owned(variable),
                    value_type: setting.value_type,
                    default: setting.default,
                    sensitive: setting.sensitive,
                    effect: Effect::Acts,
                    meaning: setting.meaning,
                });
            }
        }
    }
    rows
}

/// The variable of a setting named in camelCase.
pub(super) fn variable(name: &str) -> String {
    format!(
        "{PREFIX}{}",
        super::config_yaml::snake_case(name).to_ascii_uppercase()
    )
}
