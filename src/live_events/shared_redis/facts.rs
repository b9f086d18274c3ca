//! What a Redis says of itself, as far as it matters here.

use super::{RedisFault, SharedRedis};

/// What is asked of a Redis, and how it is. What it does not let us see is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisFacts {
    /// Its version, `7.2.4` for example.
    pub version: Option<String>,
    /// Whether it keeps a log of what it is told (`appendonly`).
    pub keeps_log: Option<bool>,
    /// What it deletes when its memory is full (`maxmemory-policy`).
    pub eviction: Option<String>,
}

impl RedisFacts {
    /// The oldest version that has all that is asked of it.
    const OLDEST: (u32, u32) = (6, 2);

    /// Whether it deletes what waits when its memory is full.
    pub fn evicts(&self) -> bool {
        let eviction = self.eviction.as_deref();
        eviction.is_some_and(|policy| policy != "noeviction")
    }

    /// Whether it lacks what is asked of it.
    pub fn is_too_old(&self) -> bool {
        let version = self.version.as_deref().unwrap_or_default();
        let mut parts = version.split('.').map_while(|part| part.parse().ok());
        match (parts.next(), parts.next()) {
            (Some(major), Some(minor)) => (major, minor) < Self::OLDEST,
            _ => false,
        }
    }

    fn of(info: &str) -> Self {
        let says = |field: &str| {
            let mut lines = info.lines();
            let said = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
            Some(said.trim().to_owned())
        };
        Self {
            version: says("redis_version"),
            keeps_log: says("aof_enabled").map(|enabled| enabled != "0"),
            eviction: says("maxmemory_policy"),
        }
    }
}

impl SharedRedis {
    /// Asks whether it is there, and how it is set up.
    pub async fn facts(&self) -> Result<RedisFacts, RedisFault> {
        self.ask::<String>(&redis::cmd("PING")).await?;
        let mut info = String::new();
        for section in ["server", "persistence", "memory"] {
            match self.ask::<String>(redis::cmd("INFO").arg(section)).await {
                Ok(some) => info += &some,
                // Its user may not ask, and everything works all the same.
                Err(RedisFault::Refused { .. }) => break,
                Err(fault) => return Err(fault),
            }
        }
        Ok(RedisFacts::of(&info))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_is_read_and_what_it_does_not_say_is_none() {
        let info = "# Server\r\nredis_version:6.0.16\r\n# Persistence\r\naof_enabled:0\r\n\
                    maxmemory_policy:allkeys-lru\r\n";
        let facts = RedisFacts::of(info);
        assert_eq!(facts.version.as_deref(), Some("6.0.16"));
        assert_eq!(facts.keeps_log, Some(false));
        assert!(facts.evicts() && facts.is_too_old());

        let silent = RedisFacts::of("");
        assert_eq!(silent, RedisFacts::default());
        assert!(!silent.evicts() && !silent.is_too_old());
        assert!(!RedisFacts::of("redis_version:10.0.1\r\n").is_too_old());
    }
}
