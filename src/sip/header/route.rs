//! Route and Record-Route (RFC 3261 §20.30, §20.34): the proxies a dialog goes through.

use std::fmt;

use super::{Address, HeaderError, elements};

/// One hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub address: Address,
}

impl Route {
    /// Every hop of one line, in its order.
    ///
    /// # Errors
    /// When an element is no address.
    pub fn list(text: &str) -> Result<Vec<Self>, HeaderError> {
        elements(text)
            .map(|element| Address::read(element).map(|address| Self { address }))
            .collect()
    }

    /// Whether the hop leaves the Request-URI alone (§16.12).
    #[must_use]
    pub fn is_loose(&self) -> bool {
        self.address.uri.is_loose_router()
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}
