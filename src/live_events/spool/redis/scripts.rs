//! The scripts, each with what all of them share.

use std::sync::LazyLock;

use redis::Script;

use crate::live_events::shared_redis::YOUNG;

const COMMON: &str = include_str!("lua/common.lua");

fn script(text: &str) -> Script {
    Script::new(&format!("{COMMON}\n{text}"))
}

pub(super) static PUT: LazyLock<Script> = LazyLock::new(|| script(include_str!("lua/put.lua")));
pub(super) static TAKE: LazyLock<Script> =
    LazyLock::new(|| script(&format!("{YOUNG}\n{}", include_str!("lua/take.lua"))));
pub(super) static GIVE_BACK: LazyLock<Script> =
    LazyLock::new(|| script(include_str!("lua/give_back.lua")));
pub(super) static RENEW: LazyLock<Script> = LazyLock::new(|| script(include_str!("lua/renew.lua")));
pub(super) static ABANDON: LazyLock<Script> =
    LazyLock::new(|| script(include_str!("lua/abandon.lua")));
pub(super) static TIDY: LazyLock<Script> = LazyLock::new(|| script(include_str!("lua/tidy.lua")));
pub(super) static REPLAY: LazyLock<Script> =
    LazyLock::new(|| script(include_str!("lua/replay.lua")));
