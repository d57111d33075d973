//! Who may ask: the bearer token, and no web page of another site. Pure.

use super::answer::Refusal;

/// What a request says about where it comes from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sender<'a> {
    pub(super) authorization: Option<&'a str>,
    pub(super) host: Option<&'a str>,
    pub(super) origin: Option<&'a str>,
}

/// Whether the request is let in. Without a token anyone who reaches the port is, except web pages of other sites: a browser
/// would let them stop the job of whoever looks at them, and a name that is made to point to this machine read it.
///
/// # Errors
/// `unauthorized` or `cross-origin`.
pub(super) fn admit(
    sender: Sender<'_>,
    token: Option<&str>,
    open: bool,
    on_loopback: bool,
) -> Result<(), Refusal> {
    if let Some(origin) = sender.origin {
        let authority = origin.split_once("://").map_or(origin, |(_, authority)| authority);
        if Some(authority) != sender.host {
            return Err(cross(format!("requests from pages of {origin} are not answered")));
        }
    }
    let by_name = sender.host.filter(|host| on_loopback && !is_local(host));
    if let (Some(host), None) = (by_name, token) {
        return Err(cross(format!(
            "the job listens on loopback only and is not known as {host}; ask 127.0.0.1 or localhost"
        )));
    }
    match token {
        Some(token) if !open => match sender.authorization.and_then(bearer) {
            Some(given) if same(given.as_bytes(), token.as_bytes()) => Ok(()),
            _ => Err(Refusal::unauthorized()),
        },
        _ => Ok(()),
    }
}

fn cross(message: String) -> Refusal {
    Refusal::new(403, "cross-origin", message)
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether a Host header names this machine's loopback.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let address = name.parse::<std::net::IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Whether two secrets are equal, in a time that depends on the length of the given one only.
fn same(given: &[u8], secret: &[u8]) -> bool {
    let at = |n: usize| secret.get(n % secret.len().max(1)).copied().unwrap_or(0);
    let differences = given.iter().enumerate().fold(0, |sum, (n, byte)| sum | (byte ^ at(n)));
    std::hint::black_box(differences) == 0 && given.len() == secret.len()
}

#[cfg(test)]
mod tests;
