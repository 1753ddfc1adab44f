//! `rtsp://[USER:PASSWORD@]HOST:PORT/PATH`, the address under which a stream is served.

use std::fmt;

/// Where a stream is served and who may see it.
#[derive(Clone, PartialEq, Eq)]
pub struct RtspAddress {
    /// Address of the network card, `0.0.0.0` for all.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path, with its slash.
    pub path: String,
    /// User and password asked for.
    pub login: Option<(String, String)>,
}

impl RtspAddress {
    /// Reads an address; `rtsp` alone is port 8554 of all network cards.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = match text {
            "rtsp" => "0.0.0.0:8554/live",
            _ => text.strip_prefix("rtsp://")?,
        };
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/live"),
        };
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => {
                let (user, password) = login.split_once(':')?;
                (Some((decoded(user), decoded(password))), place)
            }
            None => (None, authority),
        };
        let (host, port) = place.rsplit_once(':')?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        let valid = !host.is_empty()
            && path.len() > 1
            && path.chars().all(plain)
            && login
                .as_ref()
                .is_none_or(|(u, p)| !u.is_empty() && !p.is_empty());
        valid.then_some(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: port.parse().ok().filter(|port| *port > 0)?,
            path: path.to_owned(),
            login,
        })
    }

    /// Whether another machine may look without a password.
    pub fn open_to_all(&self) -> bool {
        let loopback = self.host == "localhost"
            || self
                .host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|a| a.is_loopback());
        self.login.is_none() && !loopback
    }
}

/// A part of an address as it was before signs in it were written as %40 and the like, which players undo as well; a %
/// before anything else stands for itself, and so does every one where no text would come of it.
fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
        let (byte, taken) = match (digit(0), digit(1)) {
            (Some(high), Some(low)) if *first == b'%' => ((high * 16 + low) as u8, 2),
            _ => (*first, 0),
        };
        bytes.push(byte);
        rest = &after[taken..];
    }
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'))
        .unwrap_or_else(|| text.to_owned())
}

impl fmt::Display for RtspAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let brackets = self.host.contains(':');
        let (open, close) = if brackets { ("[", "]") } else { ("", "") };
        write!(
            f,
            "rtsp://{open}{}{close}:{}{}",
            self.host, self.port, self.path
        )
    }
}

impl fmt::Debug for RtspAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let all = RtspAddress::parse("rtsp").unwrap();
        assert_eq!(all.to_string(), "rtsp://0.0.0.0:8554/live");
        assert!(all.open_to_all());
        let six = RtspAddress::parse("rtsp://[::1]:8555/front/door").unwrap();
        assert_eq!((six.host.as_str(), six.port), ("::1", 8555));
        assert_eq!(six.to_string(), "rtsp://[::1]:8555/front/door");
        assert!(!six.open_to_all());
        let login = RtspAddress::parse("rtsp://pole:p@ss:1@0.0.0.0:8554/live").unwrap();
        assert_eq!(login.login, Some(("pole".into(), "p@ss:1".into())));
        assert!(!login.open_to_all());
        let coded = RtspAddress::parse("rtsp://p%C3%B6le:p%40s%3a5%@0.0.0.0:8554/live").unwrap();
        assert_eq!(coded.login, Some(("pöle".into(), "p@s:5%".into())));
        for password in ["50%ff", "a%00", "50%25", "50%"] {
            let text = format!("rtsp://cam:{password}@0.0.0.0:8554/live");
            let login = RtspAddress::parse(&text).unwrap().login.unwrap();
            let want = if password == "50%25" { "50%" } else { password };
            assert_eq!(login, ("cam".into(), want.into()));
        }
        for wrong in [
            "rtsp:",
            "rtsp://",
            "rtsp://host/live",
            "rtsp://host:0/live",
            "rtsp://host:99999/live",
            "rtsp://user@host:8554/live",
            "rtsp://host:8554/a b",
            "rtsp://host:8554/",
        ] {
            assert_eq!(RtspAddress::parse(wrong), None, "{wrong}");
        }
    }
}
