//! Equal configurations of nginx, HAProxy and the gateway.
//!
//! One worker; TLS 1.3, X25519, TLS_AES_128_GCM_SHA256 first; tickets; the same chain and the same lists from the same
//! file; connections to the upstream kept; the same facts of the certificate in headers; no limit on requests of a
//! connection.

use crate::measure::client::SITE;
use crate::stand::List;
use std::net::SocketAddr;
use std::path::Path;

/// A program that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    Nginx,
    Haproxy,
    Sekisho,
}

/// HAProxy's runtime API, in the server's own folder.
pub const HAPROXY_SOCKET: &str = "admin.sock";

/// What of the certificate the upstream is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headers {
    /// Subject, serial number and fingerprint; of ours contract and user too.
    Few,
    /// Everything that the gateway tells by default, as far as the others can: the certificate itself, issuer, validity.
    All,
}

/// Access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    Off,
    File,
}

/// A server that is to be started.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub product: Product,
    pub list: List,
    pub headers: Headers,
    pub log: Log,
}

/// What a configuration is made of.
pub struct Setup<'a> {
    pub wanted: Wanted,
    pub address: SocketAddr,
    pub upstream: SocketAddr,
    /// The PKI's folder.
    pub pki: &'a Path,
    /// A folder of this server's own, for its configuration, logs and sockets.
    pub own: &'a Path,
}

impl Setup<'_> {
    fn file(&self, name: &str) -> String {
        self.pki.join(name).display().to_string()
    }

    /// The file of both CAs' lists; none when no list is to be checked.
    fn lists(&self) -> Option<String> {
        self.wanted.list.file().map(|name| self.file(name))
    }

    /// Whether sessions have to live through a change of the list; otherwise each server makes its own ticket keys.
    fn list_changes(&self) -> bool {
        self.wanted.list == List::Changing
    }
}

/// `nginx.conf` of a server of that content.
pub fn nginx_around(server: &str, log: Log) -> String {
    let log = match log {
        Log::Off => "access_log off;",
        Log::File => {
            "log_format all '$remote_addr [$time_iso8601] \"$request\" $status $body_bytes_sent $request_time \
             $ssl_protocol $ssl_cipher $ssl_session_reused \"$ssl_client_s_dn\" $ssl_client_serial \
             $ssl_client_fingerprint $upstream_addr $request_id';
             access_log access.log all;"
        }
    };
    format!(
        "user root; worker_processes 1; daemon off; error_log stderr crit; pid nginx.pid;
         events {{ worker_connections 4096; }}
         http {{
             {log} keepalive_requests 1000000000; keepalive_timeout 600s; sendfile on;
             client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
             {server}
         }}"
    )
}

/// nginx before the upstream.
pub fn nginx(setup: &Setup<'_>) -> String {
    let lists = setup.lists().map(|lists| format!("ssl_crl {lists};")).unwrap_or_default();
    let all = match setup.wanted.headers {
        Headers::Few => "",
        Headers::All => {
            "proxy_set_header X-Issuer $ssl_client_i_dn; proxy_set_header X-Not-Before $ssl_client_v_start;
             proxy_set_header X-Not-After $ssl_client_v_end; proxy_set_header X-Days-Left $ssl_client_v_remain;
             proxy_set_header X-Verification $ssl_client_verify; proxy_set_header X-Resumed $ssl_session_reused;
             proxy_set_header Client-Cert $ssl_client_escaped_cert;"
        }
    };
    let tickets = match setup.list_changes() {
        true => format!("ssl_session_ticket_key {};", setup.file("nginx-tickets.key")),
        false => String::new(),
    };
    let server = format!(
        "upstream ib {{ server {upstream}; keepalive 64; keepalive_requests 1000000000; }}
         server {{
             listen {address} ssl http2;
             ssl_protocols TLSv1.3; ssl_ecdh_curve X25519;
             ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384; ssl_session_tickets on; {tickets}
             ssl_certificate {certificate}; ssl_certificate_key {key};
             ssl_client_certificate {root}; ssl_verify_client on; ssl_verify_depth 3; {lists}
             location / {{
                 proxy_pass http://ib; proxy_http_version 1.1; proxy_set_header Connection '';
                 proxy_buffers 16 16k; proxy_busy_buffers_size 64k; proxy_max_temp_file_size 0;
                 client_body_buffer_size 64k;
                 proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;
                 proxy_set_header X-Forwarded-Proto https; proxy_set_header X-Request-Id $request_id;
                 proxy_set_header X-Subject $ssl_client_s_dn; proxy_set_header X-Serial $ssl_client_serial;
                 proxy_set_header X-Fingerprint $ssl_client_fingerprint; {all}
             }}
         }}",
        upstream = setup.upstream,
        address = setup.address,
        certificate = setup.file("ib.localhost.pem"),
        key = setup.file("ib.localhost.key"),
        root = setup.file("root-ca.pem"),
    );
    nginx_around(&server, setup.wanted.log)
}

/// HAProxy before the upstream.
pub fn haproxy(setup: &Setup<'_>) -> String {
    let lists = setup.lists().map(|lists| format!("crl-file {lists}")).unwrap_or_default();
    let all = match setup.wanted.headers {
        Headers::Few => "",
        Headers::All => {
            "http-request set-header X-Issuer %{+Q}[ssl_c_i_dn]
    http-request set-header X-Not-Before %[ssl_c_notbefore]
    http-request set-header X-Not-After %[ssl_c_notafter]
    http-request set-header X-Verification %[ssl_c_verify]
    http-request set-header X-Resumed %[ssl_fc_is_resumed]
    http-request set-header Client-Cert :%[ssl_c_der,base64]:"
        }
    };
    let (global_log, log) = match setup.wanted.log {
        Log::Off => ("", ""),
        Log::File => (
            "log stdout len 2048 format raw daemon info",
            "log global
    log-format \"%ci [%t] %{+Q}r %ST %B %Ta %sslv %sslc %[ssl_fc_is_resumed] %{+Q}[ssl_c_s_dn] %[ssl_c_serial,hex] \
             %[ssl_c_sha1,hex] %s %ID\"",
        ),
    };
    let (socket, tickets) = match setup.list_changes() {
        true => (
            format!("stats socket {} level admin", setup.own.join(HAPROXY_SOCKET).display()),
            format!("tls-ticket-keys {}", setup.file("haproxy-tickets.keys")),
        ),
        false => (String::new(), String::new()),
    };
    format!(
        "global
    nbthread 1
    maxconn 4000
    {socket}
    {global_log}
    ssl-default-bind-options ssl-min-ver TLSv1.3
    ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384
defaults
    mode http
    timeout connect 3s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
    http-reuse always
frontend ib
    bind {address} ssl crt {bundle} ca-file {root} verify required {lists} {tickets} curves X25519 alpn h2,http/1.1
    {log}
    unique-id-format %{{+X}}o%ci_%cp_%Ts_%rt
    unique-id-header X-Request-Id
    option forwardfor
    http-request set-header X-Forwarded-Proto https
    http-request set-header X-Subject %{{+Q}}[ssl_c_s_dn]
    http-request set-header X-Serial %[ssl_c_serial,hex]
    http-request set-header X-Fingerprint %[ssl_c_sha1,hex]
    {all}
    default_backend upstream
backend upstream
    server one {upstream}
",
        address = setup.address,
        bundle = setup.file("ib.localhost.bundle"),
        root = setup.file("root-ca.pem"),
        upstream = setup.upstream,
    )
}

/// The gateway before the upstream.
pub fn sekisho(setup: &Setup<'_>, admin: SocketAddr) -> String {
    let revocation = match setup.lists() {
        Some(lists) => format!("{{ crl = [\"{lists}\"] }}"),
        None => "\"none\"".to_owned(),
    };
    let headers = match setup.wanted.headers {
        Headers::Few => {
            "issuer = \"\"\nnot_before = \"\"\nnot_after = \"\"\ndays_left = \"\"\nverification = \"\"\n\
             resumed = \"\"\nauthenticated_at = \"\"\nclient_cert = \"\""
        }
        Headers::All => "",
    };
    let log = match setup.wanted.log {
        Log::Off => "\"off\"".to_owned(),
        Log::File => format!("{{ file = \"{}\" }}", setup.own.join("access.log").display()),
    };
    let (address, upstream, watch) = (setup.address, setup.upstream, setup.list_changes());
    let identity = sekisho_testkit::configuration::IDENTITY;
    let [root, issuing, certificate, key] =
        ["root-ca.pem", "issuing-ca.pem", "ib.localhost.pem", "ib.localhost.key"].map(|name| setup.file(name));
    format!(
        "[gateway]\nlisten = [\"{address}\"]\nadmin = \"{admin}\"\nthreads = 1\naccess_log = {log}
         watch_files = {watch}
         [gateway.limits]\nrequests_per_connection = 1000000000\nidle_timeout = \"10m\"
         [gateway.headers]\n{headers}
         [[ca]]\nname = \"root\"\ncertificate = \"{root}\"\nrevocation = {revocation}
         [[ca]]\nname = \"issuing\"\nissued_by = \"root\"\ncertificate = \"{issuing}\"
         revocation = {revocation}\nidentity = '{identity}'
         [[pool]]\nname = \"ib\"\npeers = [\"{upstream}\"]
         [[site]]\nserver_names = [\"{SITE}\"]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\nca = [\"root\"]
         [[site.route]]\npath = \"/\"\npool = \"ib\"\n",
    )
}
