//! A server that is really there, is stopped, and comes back.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// An HTTP server on an address of the loopback network that is this process's own: while it is stopped nobody else
/// takes its port, and no connection to it can meet itself.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    /// The status of every answer.
    status: AtomicU16,
    /// How many requests were answered.
    answered: AtomicUsize,
}

impl Server {
    /// Starts one that says 200.
    pub fn start() -> Self {
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let listener = TcpListener::bind((Ipv4Addr::new(127, 77, high, low), 0)).expect("loopback");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared::default());
        shared.status.store(200, Ordering::SeqCst);
        let mut server = Self { address, shared, thread: None };
        server.serve(listener);
        server
    }

    fn serve(&mut self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        self.thread = Some(std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stopping.load(Ordering::SeqCst) {
                    return;
                }
                answer(&stream.expect("a connection"), &shared);
            }
        }));
    }

    /// Stops it: connections are refused from now on.
    pub fn stop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the thread, which then sees that it is to stop.
        drop(TcpStream::connect(self.address).expect("it listens"));
        self.thread.take().expect("it runs").join().expect("it ends");
        // A process that another test is starting has all our descriptors until it executes its program.
        let started = Instant::now();
        while TcpStream::connect(self.address).is_ok() {
            assert!(started.elapsed() < Duration::from_secs(60), "nobody listens any more");
            std::thread::yield_now();
        }
    }

    /// Starts it again, at the same address.
    pub fn come_back(&mut self) {
        self.shared.stopping.store(false, Ordering::SeqCst);
        // The standard library sets SO_REUSEADDR, so what lingers of old connections is in nobody's way.
        self.serve(TcpListener::bind(self.address).expect("the port is still free"));
    }

    /// What it says from now on.
    pub fn says(&self, status: u16) {
        self.shared.status.store(status, Ordering::SeqCst);
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it is, for curl.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// How many requests it has answered.
    pub fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.thread.is_some() && !std::thread::panicking() {
            self.stop();
        }
    }
}

fn answer(mut stream: &TcpStream, shared: &Shared) {
    let mut lines = BufReader::new(stream).lines();
    while lines.next().is_some_and(|line| !line.expect("a request").is_empty()) {}
    let status = shared.status.load(Ordering::SeqCst);
    write!(stream, "HTTP/1.1 {status} Status\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n").expect("a client");
    shared.answered.fetch_add(1, Ordering::SeqCst);
}
