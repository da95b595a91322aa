//! What a login brings besides the name: what is noted of its client, and for how long it is
//! remembered.

use std::time::Duration;

use cloakroom::{AddressPrivacy, InvalidLifetime, Lifetime};
use cloakroom_tower::Clients;

use crate::args::{self, Addresses};

const IDLE: Duration = Duration::from_secs(7 * 24 * 3600);
const ABSOLUTE: Duration = Duration::from_secs(30 * 24 * 3600);

/// How visitors log in.
#[derive(Clone)]
pub(crate) struct Logins {
    pub(crate) clients: Clients,
    /// For how long whoever wants to be remembered is.
    pub(crate) remembered: Lifetime,
}

impl Logins {
    /// As the command line says; or what of it makes no sense.
    pub(crate) fn as_told_by(told: &args::Logins) -> Result<Self, String> {
        let privacy = match told.addresses {
            Addresses::Full => AddressPrivacy::Full,
            Addresses::Truncated => AddressPrivacy::Truncated,
            Addresses::None => AddressPrivacy::None,
        };
        let proxies = told.trust_proxy.clone().unwrap_or_default();
        let absolute = told.remember_absolute.unwrap_or(ABSOLUTE);
        let idle = told.remember_idle.unwrap_or(IDLE.min(absolute));
        let wrong =
            |error: InvalidLifetime| format!("--remember-idle and --remember-absolute: {error}");
        Ok(Self {
            clients: Clients { proxies, privacy, label: told.label.clone() },
            remembered: Lifetime::new(idle, absolute).map_err(wrong)?,
        })
    }
}
