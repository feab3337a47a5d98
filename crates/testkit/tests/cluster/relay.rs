//! A TCP relay that can be cut: what stands between a gateway and an issuer when the network fails.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// A relay; its threads end with the test's process.
#[derive(Clone)]
pub struct Relay {
    address: SocketAddr,
    line: Arc<Line>,
}

struct Line {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    condition: Condition,
    open: Vec<TcpStream>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    /// Octets go through.
    Sound,
    /// Connections stay open and nothing goes through, as where a firewall drops packets.
    Silent,
    /// Connections are closed, and none is taken.
    Closed,
}

impl Relay {
    /// To that address.
    pub fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = State { condition: Condition::Sound, open: Vec::new() };
        let line = Arc::new(Line { state: Mutex::new(state), changed: Condvar::new() });
        let relay = Self { address: listener.local_addr().unwrap(), line: line.clone() };
        std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let line = line.clone();
                std::thread::spawn(move || line.carry(client, target));
            }
        });
        relay
    }

    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing goes through, and nobody is told.
    pub fn silence(&self) {
        self.become_(Condition::Silent);
    }

    /// Closes what is open, and everything that comes.
    pub fn close(&self) {
        self.become_(Condition::Closed);
        for stream in self.line.state.lock().unwrap().open.drain(..) {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// As new. What was silent goes on where it was.
    pub fn mend(&self) {
        self.become_(Condition::Sound);
    }

    fn become_(&self, condition: Condition) {
        self.line.state.lock().unwrap().condition = condition;
        self.line.changed.notify_all();
    }
}

impl Line {
    /// Waits out a silence; whether octets go through now.
    fn is_sound(&self) -> bool {
        let state = self.state.lock().unwrap();
        let state = self.changed.wait_while(state, |state| state.condition == Condition::Silent).unwrap();
        state.condition == Condition::Sound
    }

    fn carry(self: Arc<Self>, client: TcpStream, target: SocketAddr) {
        if !self.is_sound() {
            return;
        }
        // Nobody there: the client's connection closes.
        let Ok(server) = TcpStream::connect(target) else { return };
        let other = || (client.try_clone().unwrap(), server.try_clone().unwrap());
        self.state.lock().unwrap().open.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
        let (from_client, to_server) = other();
        let line = self.clone();
        std::thread::spawn(move || line.pump(from_client, to_server));
        self.pump(server, client);
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if !self.is_sound() || to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
