//! Addresses of network sources: what they are made of, and how they may be shown.

/// A network address in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address<'a> {
    scheme: &'a str,
    /// Whether user or password stand in it.
    pub(super) login: bool,
    /// Host and port.
    place: &'a str,
    /// Path and query.
    rest: &'a str,
}

/// What ends host and port.
const ENDS: [char; 3] = ['/', '?', '#'];

/// Properties in a launch line that hold a secret.
const SECRETS: [&str; 8] = [
    "user-id",
    "user-pw",
    "proxy-id",
    "proxy-pw",
    "passphrase",
    "password",
    "extra-headers",
    "cookies",
];

impl<'a> Address<'a> {
    /// Takes an address apart; `None` for other texts.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let (scheme, after) = text.split_once("://")?;
        let mut authority = &after[..after.find(ENDS).unwrap_or(after.len())];
        if !authority.contains('@')
            && host_and_port(authority).is_none()
            && let Some(at) = after.rfind('@')
        {
            // A slash in a password ends the authority too early, and the rest must not be shown.
            let place = &after[at + 1..];
            authority = &after[..at + 1 + place.find(ENDS).unwrap_or(place.len())];
        }
        let at = authority.rfind('@');
        Some(Self {
            scheme,
            login: at.is_some(),
            place: &authority[at.map_or(0, |at| at + 1)..],
            rest: &after[authority.len()..],
        })
    }

    /// What keeps this from being the address of a source.
    pub(super) fn flaw(&self) -> Option<String> {
        let Some((host, port)) = host_and_port(self.place) else {
            return Some(
                "a port is a number from 1 to 65535, an IPv6 host stands in brackets, and / ? # @ of a \
                 password are written %2F %3F %23 %40"
                    .into(),
            );
        };
        // An srt address without a host waits for the camera to call.
        if host.is_empty() && (self.scheme != "srt" || port.is_none()) {
            return Some(format!("give a host, as in {}://10.0.0.7/", self.scheme));
        }
        None
    }

    /// Host and port that take TCP connections, if the protocol is on TCP.
    pub(super) fn tcp(&self) -> Option<(String, u16)> {
        let usual = match self.scheme {
            "http" => 80,
            "https" => 443,
            "rtsp" => 554,
            "rtsps" => 322,
            _ => return None,
        };
        let (host, port) = host_and_port(self.place).filter(|(host, _)| !host.is_empty())?;
        Some((host.to_owned(), port.unwrap_or(usual)))
    }

    /// Its protocol.
    pub(super) fn scheme(&self) -> &str {
        self.scheme
    }

    /// The address without user, password and what its parameters are set to: any of them may be a
    /// secret, and which is the camera's business.
    fn shown(&self) -> String {
        let rest = match self.rest.find(['?', '=']) {
            None => self.rest.to_owned(),
            // Some cameras take the password in the path.
            Some(at) if self.rest[at..].starts_with('=') => format!("{}=...", &self.rest[..at]),
            Some(at) => {
                let (path, query) = (&self.rest[..at], &self.rest[at + 1..]);
                let names = query
                    .split(['&', ';'])
                    .map(|pair| match pair.split_once('=') {
                        Some((name, _)) => format!("{name}=..."),
                        None if pair.is_empty() => String::new(),
                        None => "...".into(),
                    });
                format!("{path}?{}", names.collect::<Vec<_>>().join("&"))
            }
        };
        // Of an address in the path as of the whole.
        let rest = match rest.find("://") {
            Some(_) => word_without_password(&rest),
            None => rest,
        };
        format!("{}://{}{rest}", self.scheme, self.place)
    }
}

/// Host, without brackets, and port of `HOST[:PORT]`.
fn host_and_port(place: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match place.strip_prefix('[') {
        Some(bracketed) => {
            let (host, port) = bracketed.split_once(']')?;
            match port {
                "" => (host, None),
                _ => (host, Some(port.strip_prefix(':')?)),
            }
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    match port {
        None | Some("") => Some((host, None)),
        Some(port) => Some((host, Some(port.parse().ok().filter(|port| *port > 0)?))),
    }
}

/// A network address, or a launch line with some, as logs and reports may show it.
pub(super) fn without_password(text: &str) -> String {
    if text.find("://").is_some_and(|at| is_scheme(&text[..at])) {
        // Not a line of several words: a blank in it belongs to a password.
        return Address::of(text).map_or_else(String::new, |address| address.shown());
    }
    let (mut shown, mut rest) = (String::new(), text);
    while !rest.is_empty() {
        let words = rest.trim_start();
        shown += &rest[..rest.len() - words.len()];
        let (word, after) = words.split_at(word_end(words));
        shown += &word_without_password(word);
        rest = after;
    }
    shown
}

/// Which property that holds a secret `text` tells of.
pub(super) fn secret_in(text: &str) -> Option<&'static str> {
    // GStreamer takes both for the same.
    let text = text.replace('_', "-");
    SECRETS.into_iter().find(|name| text.contains(name))
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric())
}

/// Where the first word of `text` ends. As in a launch line, blanks in quotes and around = belong to it.
fn word_end(text: &str) -> usize {
    let mut quote = None;
    // A quote opens where a value may begin; elsewhere it is an apostrophe.
    let mut before = '=';
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match quote {
            _ if c == '\\' => {
                chars.next();
            }
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c.is_whitespace() => {
                if before != '=' && !text[at..].trim_start().starts_with('=') {
                    return at;
                }
                continue;
            }
            None if before == '=' && "\"'".contains(c) => quote = Some(c),
            None => {}
        }
        before = c;
    }
    text.len()
}

fn word_without_password(word: &str) -> String {
    let Some(colon) = word.find("://") else {
        return match word.split_once('=') {
            Some((name, _)) if is_secret(name) => format!("{}=...", name.trim_end()),
            _ => word.to_owned(),
        };
    };
    if let Some((name, _)) = word[..colon].split_once('=').filter(|(n, _)| is_secret(n)) {
        return format!("{}=...", name.trim_end());
    }
    let mut backwards = word[..colon].char_indices().rev();
    let before = backwards.find(|(_, c)| !c.is_ascii_alphanumeric());
    let (before, address) = word.split_at(before.map_or(0, |(at, c)| at + c.len_utf8()));
    let bare = address.trim_end_matches(['"', '\'']);
    match Address::of(bare) {
        Some(shown) => format!("{before}{}{}", shown.shown(), &address[bare.len()..]),
        None => word.to_owned(),
    }
}

/// Whether `name`, what stands before a =, ends in the name of a property that holds a secret.
fn is_secret(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let name = name.trim_end().rsplit(|c| !letter(c)).next();
    // As above.
    name.is_some_and(|name| SECRETS.contains(&name.replace('_', "-").as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for (given, shown) in [
            (
                "rtsp://user:secret@10.0.0.7:554/a@b",
                "rtsp://10.0.0.7:554/a@b",
            ),
            ("rtsp://user:se/cr?et@10.0.0.7/live", "rtsp://10.0.0.7/live"),
            ("„http://u:p@h/a", "„http://h/a"),
            ("café://x", "café://x"),
            (
                "srt://127.0.0.1:9000?passphrase=secret",
                "srt://127.0.0.1:9000?passphrase=...",
            ),
            (
                "http://u:p@cam/v?token=secret&user=me&secret#x",
                "http://cam/v?token=...&user=...&...",
            ),
            ("http://cam/?mail=a@b", "http://cam/?mail=..."),
            (
                "rtsp://10.0.0.7/user=admin&password=secret",
                "rtsp://10.0.0.7/user=...",
            ),
            ("http://10.0.0.7/video", "http://10.0.0.7/video"),
            ("film.mkv", "film.mkv"),
            (
                "gst:rtspsrc location=rtsp://u:secret@cam/live?k=secret user-pw=secret ! decodebin",
                "gst:rtspsrc location=rtsp://cam/live?k=... user-pw=... ! decodebin",
            ),
            (
                r#"gst:s user-pw="S3CRET \"PART2" user_id = 'S3 CRET' location="http://b:S3 C@h/x?k=S" ! d"#,
                r#"gst:s user-pw=... user_id=... location="http://h/x?k=..." ! d"#,
            ),
            (
                r#"gst:s extra-headers="h,Authorization=S3CRET" cookies= a=S3CRET source::user-pw=S3\ C ! d"#,
                "gst:s extra-headers=... cookies=... source::user-pw=... ! d",
            ),
            ("http://bob:S3 CRET@cam/x", "http://cam/x"),
            (
                "isn't at 'http://bob:S3CRET@cam/x', it's away",
                "isn't at 'http://cam/x', it's away",
            ),
            (
                "gst:s location=http://proxy/http://b:S3@cam/x",
                "gst:s location=http://proxy/http://cam/x",
            ),
        ] {
            assert_eq!(without_password(given), shown);
        }
    }

    #[test]
    fn a_secret_is_known_by_either_spelling() {
        for name in ["extra-headers", "extra_headers"] {
            let said = format!("could not set property \"{name}\" to \"h,S3CRET\"");
            assert_eq!(secret_in(&said), Some("extra-headers"));
        }
        assert_eq!(secret_in("could not set property \"width\""), None);
    }

    #[test]
    fn addresses_without_a_host_have_a_flaw() {
        let flaw = |text| Address::of(text).unwrap().flaw();
        for right in [
            "rtsp://10.0.0.7/live",
            "rtsp://user:p@[::1]:8554/live",
            "http://cam:80",
            "srt://:9000?mode=listener",
        ] {
            assert_eq!(flaw(right), None, "{right}");
        }
        for wrong in ["rtsp://", "http://:80/x", "srt://", "rtsp://u:p@/live"] {
            assert!(flaw(wrong).unwrap().contains("give a host"), "{wrong}");
        }
        for wrong in ["rtsp://cam:x/live", "rtsp://::1/live", "http://cam:70000/"] {
            assert!(flaw(wrong).unwrap().contains("a port is"), "{wrong}");
        }
    }

    #[test]
    fn only_protocols_on_tcp_have_a_port_to_try() {
        let tcp = |text| Address::of(text).unwrap().tcp();
        assert_eq!(tcp("http://cam/x"), Some(("cam".into(), 80)));
        assert_eq!(tcp("rtsp://u:p@[::1]/x"), Some(("::1".into(), 554)));
        assert_eq!(tcp("https://cam:8443"), Some(("cam".into(), 8443)));
        assert_eq!(tcp("srt://cam:9000"), None);
    }
}
