//! Where log lines go: to standard error, and to Port once it can be reached. And
//! with what nearly every command begins: the settings, and logging as they say.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::Exit;
use super::output::tell;
use super::progress_bar::Console;
use crate::api::PortClient;
use crate::causes::one_line;
use crate::settings::{self, Inputs, Loaded, Overrides};
use crate::telemetry::{self, LogFormat, Masker, Shipper};

/// Where log lines go.
pub(super) struct Logging {
    pub(super) console: Console,
    /// To Port, unless that is switched off.
    pub(super) shipper: Option<Shipper>,
}

/// Reads the settings of this process and sets logging up. What is wrong has been said.
pub(super) fn set_up(overrides: Overrides) -> Result<(Loaded, Logging), Exit> {
    let loaded = settings::load(Inputs::from_process(overrides)).map_err(|problems| {
        tell(&problems);
        Exit::NotStarted
    })?;
    let logging = Logging::start(&loaded);
    Ok((loaded, logging))
}

impl Logging {
    /// Sets logging up and says what there is to say about the settings.
    pub(super) fn start(loaded: &Loaded) -> Self {
        let console = Console::new();
        let settings = &loaded.settings;
        let shipper = settings
            .application
            .enable_http_logging
            .then(Shipper::default);
        let set_up = telemetry::init(
            settings.application.log_level,
            LogFormat::detect(),
            Masker::new(&settings.secrets),
            console.sink(),
            shipper.clone(),
        );
        if let Err(error) = set_up {
            tell(&format_args!("warning: {}", one_line(&error)));
        }
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        Self { console, shipper }
    }
}

/// Does `work` and ships log lines meanwhile, once it is known where to; in the end
/// those that it left. The shipper bounds what that takes.
pub(super) async fn shipping<T>(
    shipper: Option<&Shipper>,
    port: &PortClient,
    mut ingest: watch::Receiver<Option<Url>>,
    work: impl Future<Output = T>,
) -> T {
    let Some(shipper) = shipper else {
        return work.await;
    };
    let ended = CancellationToken::new();
    let work = async {
        let result = work.await;
        ended.cancel();
        result
    };
    let shipping = async {
        let known = ended.run_until_cancelled(ingest.wait_for(Option::is_some));
        // Failing that nobody is left who could find out.
        let ingest = known.await.and_then(|known| known.ok()?.clone());
        if let Some(ingest) = ingest {
            shipper.run(port, &ingest, &ended).await;
        }
    };
    let (result, ()) = tokio::join!(work, shipping);
    result
}
