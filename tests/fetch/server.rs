//! An HTTP server over a raw socket, which does what no well-behaved one does, and Python's, which is one.

use crate::common::{PATIENCE, wait_for};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// What the server does with each request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// 200 with these octets and an ETag; 304 to whoever has them.
    List(Vec<u8>),
    /// These octets, then the connection closes.
    Raw(Vec<u8>),
    /// These octets, then zeros without end, counted.
    Endless(Vec<u8>),
    /// These octets, then another each 100 milliseconds.
    Drip(Vec<u8>),
    /// These octets in two halves, half a second apart.
    Slow(Vec<u8>),
    /// Nothing, and the connection stays.
    Silence,
    /// The connection closes.
    Close,
}

#[derive(Debug)]
pub struct RawServer {
    address: SocketAddr,
    answer: Arc<Mutex<Answer>>,
    requests: Arc<Mutex<Vec<String>>>,
    sent: Arc<AtomicU64>,
}

impl RawServer {
    pub fn new(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, requests, sent) =
            (Arc::new(Mutex::new(answer)), Arc::<Mutex<Vec<String>>>::default(), Arc::default());
        let (answers, seen, count) = (Arc::clone(&answer), Arc::clone(&requests), Arc::clone(&sent));
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (answers, seen, count) = (Arc::clone(&answers), Arc::clone(&seen), Arc::clone(&count));
                // An error is the client's going away.
                std::thread::spawn(move || serve(stream, &answers, &seen, &count).ok());
            }
        });
        Self { address, answer, requests, sent }
    }

    pub fn url(&self) -> String {
        format!("http://{}/issuing.crl", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// The heads of all requests so far, in lower case.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Octets sent of endless answers.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

fn serve(
    mut stream: TcpStream,
    answer: &Mutex<Answer>,
    requests: &Mutex<Vec<String>>,
    sent: &AtomicU64,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = Vec::new();
    let mut octet = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut octet)?;
        head.push(octet[0]);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    requests.lock().unwrap().push(head.clone());
    let answer = answer.lock().unwrap().clone();
    match answer {
        Answer::List(list) => {
            // The whole digest: of a single octet one list in 256 would have the tag of the one before.
            let tag = format!(
                "\"{}\"",
                sekisho_pki::fingerprint::sha256(&[&list]).map(|octet| format!("{octet:02x}")).concat()
            );
            if head.contains(&format!("if-none-match: {tag}")) {
                return stream.write_all(format!("HTTP/1.1 304 Not Modified\r\nETag: {tag}\r\n\r\n").as_bytes());
            }
            stream.write_all(&ok(&list, &format!("ETag: {tag}\r\n")))
        }
        Answer::Raw(octets) => stream.write_all(&octets),
        Answer::Endless(begin) => {
            stream.write_all(&begin)?;
            loop {
                stream.write_all(&[0; 4096])?;
                sent.fetch_add(4096, Ordering::SeqCst);
            }
        }
        Answer::Drip(begin) => {
            stream.write_all(&begin)?;
            let mut ignored = [0; 1];
            stream.set_read_timeout(Some(std::time::Duration::from_millis(100)))?;
            loop {
                stream.write_all(b"a")?;
                // Its timeout is the drip's pace; an end is the client's going away.
                if matches!(stream.read(&mut ignored), Ok(0)) {
                    return Ok(());
                }
            }
        }
        Answer::Slow(octets) => {
            let (first, second) = octets.split_at(octets.len() / 2);
            stream.write_all(first)?;
            stream.set_read_timeout(Some(std::time::Duration::from_millis(500)))?;
            // Ends by its timeout.
            let _ = stream.read(&mut octet);
            stream.write_all(second)
        }
        Answer::Silence => {
            stream.set_read_timeout(None)?;
            stream.read_exact(&mut octet)
        }
        Answer::Close => Ok(()),
    }
}

/// A whole answer with status 200.
pub fn ok(body: &[u8], headers: &str) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Python's own server over a folder; gone when dropped.
#[derive(Debug)]
pub struct PythonServer {
    child: Child,
    port: u16,
    lines: Arc<Mutex<Vec<String>>>,
}

impl PythonServer {
    pub fn new(folder: &Path) -> Self {
        let mut command = Command::new("python3");
        command.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"]).arg(folder);
        Self::start(&mut command)
    }

    /// Over TLS with this certificate and key in the folder.
    pub fn tls(folder: &Path, certificate: &str, key: &str) -> Self {
        const PROGRAM: &str = "import http.server, ssl, sys, functools\n\
            handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])\n\
            server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)\n\
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n\
            context.load_cert_chain(sys.argv[2], sys.argv[3])\n\
            server.socket = context.wrap_socket(server.socket, server_side=True)\n\
            print('port', server.server_port, '')\n\
            server.serve_forever()\n";
        let mut command = Command::new("python3");
        command.args(["-u", "-c", PROGRAM]).arg(folder).arg(folder.join(certificate)).arg(folder.join(key));
        Self::start(&mut command)
    }

    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let told = Arc::clone(&lines);
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| told.lock().unwrap().push(line));
        });
        let told = Arc::clone(&lines);
        std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).for_each(|line| told.lock().unwrap().push(line));
        });
        let port = wait_for("python's server to listen", || {
            let told = lines.lock().unwrap();
            told.iter().find_map(|line| line.split("port ").nth(1)?.split(' ').next()?.parse().ok())
        });
        Self { child, port, lines }
    }

    pub fn url(&self, file: &str) -> String {
        format!("http://127.0.0.1:{}/{file}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Answers so far with this status.
    pub fn answers(&self, status: u16) -> usize {
        let status = format!("\" {status} ");
        self.lines.lock().unwrap().iter().filter(|line| line.contains(&status)).count()
    }
}

impl Drop for PythonServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
