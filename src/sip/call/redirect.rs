//! A call of ours that is sent on (RFC 3261 §8.1.3.4): where to, how often, and never to an emergency number.

use super::Call;
use crate::sip::agent::core::Core;
use crate::sip::dialog::reachable;
use crate::sip::emergency::is_emergency;
use crate::sip::header::{Contacts, Uri};
use crate::sip::wire::{HeaderName, Index};

/// 3xx that one call follows; more is a ring of exchanges that send each other away.
const REDIRECTS_MAX: usize = 5;

impl Call {
    /// Takes the first Contact of a redirect that we can reach as the new target (§8.1.3.4).
    pub(super) fn follow(&mut self, core: &Core, response: &Index<'_>) -> Result<(), &'static str> {
        let caller = self.caller.as_mut().ok_or("not our call")?;
        if caller.visited.len() >= REDIRECTS_MAX {
            return Err("more than 5 redirects");
        }
        let flow = core.flow(self.party.hop.flow).ok_or("the flow is closed")?;
        caller.visited.push(caller.target.clone());
        let mut seen = false;
        for header in response.all(HeaderName::Contact) {
            let Ok(Contacts::Listed(contacts)) = Contacts::read(&header.text()) else {
                continue;
            };
            for contact in contacts {
                let uri = contact.address.uri;
                if caller
                    .visited
                    .iter()
                    .any(|visited| visited.is_equivalent(&uri))
                {
                    seen = true;
                } else if let Some(address) = reachable(&uri, flow) {
                    caller.target = uri;
                    self.party.hop.peer = address;
                    return Ok(());
                }
            }
        }
        Err(if seen {
            "redirected in a loop"
        } else {
            "redirected to nowhere that this flow can reach"
        })
    }
}

/// An emergency number among the Contacts of a redirect, reachable for us or not: where one leads there,
/// none of the others is tried either, because the number is not what it was taken for.
pub(super) fn emergency_contact(response: &Index<'_>) -> Option<Uri> {
    response
        .all(HeaderName::Contact)
        .filter_map(|header| match Contacts::read(&header.text()) {
            Ok(Contacts::Listed(contacts)) => Some(contacts),
            Ok(Contacts::Every) | Err(_) => None,
        })
        .flatten()
        .map(|contact| contact.address.uri)
        .find(|uri| is_emergency(uri.as_str()))
}
