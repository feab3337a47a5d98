//! Which names a client may not use, and when two names count as one.
//!
//! Upstreams fold names together: CGI and WSGI make `X_User-Id` and `X-User-Id` one variable, PHP does so with `.` too,
//! and some cut what is no letter at an end. So there is one fold for every name of every table, and it is wider than
//! any upstream's: the letters and digits of the name, in lower case.

use sekisho_config::{HeaderNames, MESSAGE_FIELDS};

/// Names that no client may set, whatever the configuration; with `*` at the end, names that begin so, and with `-*`,
/// names that begin so and go on after a separator.
const CLAIMS: &[&str] = &[
    // Ours and those of RFC 9440.
    "x-sekisho*",
    "client-cert*",
    // Where the client is, and by which scheme and host it came: the gateway sets the true ones.
    "forwarded*",
    "x-forwarded*",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "client-ip",
    "true-client-ip",
    "cf-connecting-ip*",
    "fastly-client-ip",
    "x-proxyuser-ip",
    "x-host",
    // Another path, host or method than the one by which the route was chosen.
    "x-original-*",
    "x-rewrite-url",
    "x-http-method*",
    "x-method-override",
    "x-scheme",
    "x-url-scheme",
    "front-end-https",
    // CGI programs read it as their own proxy setting (CVE-2016-5385).
    "proxy",
    // Names by which other products tell an application who its client is, which it may still believe after a
    // migration: nginx, Apache, HAProxy, Envoy, Traefik;
    "x-client-cert*",
    "x-client-verify",
    "x-client-dn",
    "x-client-s-dn",
    "x-client-i-dn",
    "x-client-subject*",
    "x-client-issuer*",
    "x-client-serial*",
    "x-client-fingerprint",
    "x-cert",
    "x-cert-*",
    "x-certificate*",
    "x-subject-dn",
    "x-issuer-dn",
    "x-ssl*",
    "ssl-*",
    "x-tls-*",
    "tls-client-*",
    "x-envoy-*",
    // Amazon, Azure, Google, Cloudflare;
    "x-amzn-mtls-*",
    "x-amzn-oidc-*",
    "x-arr-clientcert",
    "x-arr-ssl",
    "x-azure-*",
    "x-ms-client-principal*",
    "x-ms-token-*",
    "x-goog-iap-*",
    "x-goog-authenticated-user-*",
    "cf-access-*",
    "cf-client-cert*",
    // IBM WebSEAL and WebSphere ($WSCC …), WebLogic, SiteMinder, Oracle Access Manager, Shibboleth, Mellon, OpenID Connect modules and proxies.
    "iv-*",
    "wl-proxy-*",
    "wscc",
    "wscs",
    "wsra",
    "wsrh",
    "wsru",
    "wsis",
    "wssc",
    "wspr",
    "wsat",
    "wssi",
    "wssn",
    "proxy-remote-user",
    "sslclientcert*",
    "x-sso-*",
    "x-auth-user",
    "auth-user",
    "sm-*",
    "oam-*",
    "osso-*",
    "shib-*",
    "mellon-*",
    "oidc-*",
    "remote-*",
    "x-remote-*",
    "x-iv-*",
    "x-proxy-user",
    "x-proxy-remote-user",
    "x-webauth-*",
    "x-auth-request-*",
    "x-authenticated-*",
    "x-authentik-*",
];

/// Fields of one connection (RFC 9110 section 7.6.1) that no upstream needs of a client, in their own spelling too;
/// with `Upgrade: h2c`, the settings open a tunnel past these rules.
const HOP_BY_HOP: &[&str] = &["http2-settings", "keep-alive", "proxy-connection"];

/// The names to remove from every request, whatever their spelling.
#[derive(Clone, Debug)]
pub struct StripSet {
    /// Names, folded, at the index of their length: most request headers meet no name of their length.
    by_length: Vec<Vec<Box<[u8]>>>,
    /// Beginnings at the index of their first byte, for the same reason.
    by_first: Vec<Vec<Beginning>>,
    /// At the index of a first byte, a bit for each second one: a name that begins otherwise is not folded any further.
    seconds: Vec<u64>,
}

/// How a name begins that is removed.
#[derive(Clone, Debug)]
struct Beginning {
    folded: Box<[u8]>,
    /// A separator follows it.
    separated: bool,
}

/// Bytes of a folded name that are kept. Longer ones, which an operator may strip, are compared the slow way; no beginning
/// is longer.
const MAX_FOLDED: usize = 64;

/// A name as upstreams may fold it: its letters and digits, in lower case.
struct Folded {
    kept: [u8; MAX_FOLDED],
    /// Of all of the name.
    length: usize,
    /// Bit `n`: a separator follows the letter or digit of that index.
    separated: u64,
}

/// What a byte of a name is folded to; 0: a separator. Field names are ASCII (RFC 9110 section 5.1).
const FOLD: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let folded = (byte as u8).to_ascii_lowercase();
        table[byte] = if folded.is_ascii_alphanumeric() { folded } else { 0 };
        byte += 1;
    }
    table
};

impl StripSet {
    /// Every header that the configuration gives a meaning to, its `strip` list, and the names no client may ever set.
    pub fn new(names: &HeaderNames) -> Self {
        let mut set = Self { by_length: Vec::new(), by_first: vec![Vec::new(); 256], seconds: vec![0; 256] };
        for claim in CLAIMS {
            match claim.strip_suffix('*') {
                Some(beginning) => set.add_beginning(beginning),
                None => set.add(claim),
            }
        }
        HOP_BY_HOP.iter().chain(MESSAGE_FIELDS).for_each(|name| set.add(name));
        set_by_gateway(names).into_iter().flatten().chain(&names.strip).for_each(|name| set.add(name.as_str()));
        set
    }

    /// Returns `true` if a field of this name is removed.
    ///
    /// A field that frames the message or names its target stays in its own spelling and in no other: `Content_Length`
    /// would be a second length to an upstream that folds it.
    pub fn contains(&self, name: &str) -> bool {
        if !self.may_begin(name) {
            return false;
        }
        let folded = Folded::of(name);
        let (length, kept) = (folded.length, folded.kept());
        let known = self.by_length.get(length).is_some_and(|names| names.iter().any(|known| folded.is(name, known)));
        if known && !is_message_field(name) {
            return true;
        }
        let beginnings = kept.first().and_then(|first| self.by_first.get(usize::from(*first)));
        beginnings.is_some_and(|beginnings| beginnings.iter().any(|beginning| beginning.fits(&folded)))
    }

    /// Whether some name that is removed begins with the same two letters or digits.
    fn may_begin(&self, name: &str) -> bool {
        let mut bytes = fold(name);
        let first = bytes.next().unwrap_or(0);
        let seconds = self.seconds.get(usize::from(first)).copied().unwrap_or(0);
        bytes.next().map_or(seconds != 0, |second| seconds & bit(second) != 0)
    }

    fn add_start(&mut self, folded: &[u8]) {
        let first = folded.first().copied().unwrap_or(0);
        if let Some(seconds) = self.seconds.get_mut(usize::from(first)) {
            // After a name of one letter anything may follow, which is for the lookup to see.
            *seconds |= folded.get(1).map_or(u64::MAX, |second| bit(*second));
        }
    }

    fn add(&mut self, name: &str) {
        let name: Box<[u8]> = fold(name).collect();
        self.add_start(&name);
        if self.by_length.len() <= name.len() {
            self.by_length.resize(name.len() + 1, Vec::new());
        }
        if let Some(names) = self.by_length.get_mut(name.len())
            && !names.contains(&name)
        {
            names.push(name);
        }
    }

    fn add_beginning(&mut self, beginning: &str) {
        let folded: Box<[u8]> = fold(beginning).collect();
        self.add_start(&folded);
        let first = folded.first().map_or(0, |first| usize::from(*first));
        if let Some(beginnings) = self.by_first.get_mut(first) {
            beginnings.push(Beginning { folded, separated: beginning.ends_with('-') });
        }
    }
}

impl Beginning {
    fn fits(&self, name: &Folded) -> bool {
        let last = self.folded.len().saturating_sub(1);
        name.kept().starts_with(&self.folded) && (!self.separated || name.separated >> last & 1 == 1)
    }
}

impl Folded {
    fn of(name: &str) -> Self {
        let mut folded = Self { kept: [0; MAX_FOLDED], length: 0, separated: 0 };
        for byte in name.bytes() {
            let byte = FOLD[usize::from(byte)];
            if byte != 0 {
                if let Some(place) = folded.kept.get_mut(folded.length) {
                    *place = byte;
                }
                folded.length += 1;
            } else if (1..=MAX_FOLDED).contains(&folded.length) {
                folded.separated |= 1 << (folded.length - 1);
            }
        }
        folded
    }

    fn kept(&self) -> &[u8] {
        self.kept.get(..self.length).unwrap_or(&self.kept)
    }

    /// Whether it is a known one of its length; `name`: what it was made of.
    fn is(&self, name: &str, known: &[u8]) -> bool {
        if self.length <= MAX_FOLDED { self.kept() == known } else { fold(name).eq(known.iter().copied()) }
    }
}

/// Letters have bits of their own; some digits share them, which makes a name be folded and no more.
const fn bit(folded: u8) -> u64 {
    1 << (folded & 63)
}

fn fold(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().map(|byte| FOLD[usize::from(byte)]).filter(|byte| *byte != 0)
}

/// Returns `true` for a field that frames a message or names its target, in its own spelling but for case.
fn is_message_field(name: &str) -> bool {
    let is_it = |known: &&&str| known.eq_ignore_ascii_case(name);
    MESSAGE_FIELDS.iter().find(is_it).is_some_and(|name| !HOP_BY_HOP.contains(name))
}

/// The headers that the gateway itself sets, in no order.
pub(super) fn set_by_gateway(names: &HeaderNames) -> [Option<&http::HeaderName>; 18] {
    // Taken apart whole: a header added to the configuration and not here does not compile.
    let HeaderNames {
        contract_id,
        user_id,
        common_name,
        serial,
        issuer,
        ca,
        not_before,
        not_after,
        days_left,
        fingerprint,
        verification,
        resumed,
        authenticated_at,
        client_cert,
        client_cert_chain,
        assertion,
        ca_draining,
        request_id,
        strip: _,
    } = names;
    [
        contract_id,
        user_id,
        common_name,
        serial,
        issuer,
        ca,
        not_before,
        not_after,
        days_left,
        fingerprint,
        verification,
        resumed,
        authenticated_at,
        client_cert,
        client_cert_chain,
        assertion,
        ca_draining,
        request_id,
    ]
    .map(Option::as_ref)
}
