//! Port's credentials, and the integration as Port has it.

use super::finding::Finding;
use crate::api::{Integration, PortClient};
use crate::settings::IntegrationSettings;

/// What Port has of this installation.
pub(super) enum Found {
    /// Port could not be asked.
    Unknown,
    /// The first start is still to come.
    Nothing,
    There(Box<Integration>),
}

/// Logs in, and looks for the integration.
pub(super) async fn integration(
    port: &PortClient,
    settings: &IntegrationSettings,
) -> (Vec<Finding>, Found) {
    const ABOUT: &str = "Port";
    if let Err(error) = port.log_in().await {
        return (
            vec![Finding::error(ABOUT, &error, error.hint())],
            Found::Unknown,
        );
    }
    let mut findings = vec![Finding::good(ABOUT, "the credentials are accepted")];
    let identifier = &settings.identifier;
    let found = match port.integration().await {
        Ok(Some(integration)) => {
            findings.push(of_integration(settings, &integration));
            Found::There(Box::new(integration))
        }
        Ok(None) => {
            findings.push(Finding::note(
                ABOUT,
                format!("there is no integration `{identifier}` yet: the first start creates it"),
            ));
            Found::Nothing
        }
        Err(error) => {
            findings.push(Finding::error(ABOUT, &error, error.hint()));
            Found::Unknown
        }
    };
    (findings, found)
}

fn of_integration(settings: &IntegrationSettings, integration: &Integration) -> Finding {
    const ABOUT: &str = "Port";
    let IntegrationSettings {
        identifier, kind, ..
    } = settings;
    if let Some(installed) = integration.hosted_by_port() {
        let text = format!(
            "the integration `{identifier}` is installed as `{installed}`, that is: hosted by Port; it cannot run here as well"
        );
        return Finding::bad(ABOUT, text).remedy(
            "give this installation an identifier of its own (OCEAN__INTEGRATION__IDENTIFIER)",
        );
    }
    match integration.installation_app_type.as_deref() {
        Some(other) if other != kind => Finding::note(
            ABOUT,
            format!(
                "the integration `{identifier}` is there, of type `{other}`; the next start makes it `{kind}`"
            ),
        )
        .remedy("set OCEAN__INTEGRATION__TYPE if it is to stay as it is"),
        _ => Finding::good(
            ABOUT,
            format!("the integration `{identifier}` is there, of type `{kind}`"),
        ),
    }
}
