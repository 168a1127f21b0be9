//! An HTTP server that says what the test wants, stops, and comes back.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A socket at an address of the loopback network that nobody else uses: while its server is stopped, nobody takes the
/// port, and no connection to it can meet itself.
fn listen() -> (SocketAddr, TcpListener) {
    static COUNT: AtomicU8 = AtomicU8::new(0);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let second = 77 + COUNT.fetch_add(1, Ordering::SeqCst) % 100;
    let listener = TcpListener::bind((Ipv4Addr::new(127, second, high, low), 0)).expect("loopback");
    (listener.local_addr().expect("its address"), listener)
}

/// Such an address, for a server that is another program.
pub fn address() -> SocketAddr {
    let (address, listener) = listen();
    drop(listener);
    wait_until_free(address);
    address
}

/// A process that another test is starting has all our descriptors until it executes its program.
fn wait_until_free(address: SocketAddr) {
    let started = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(started.elapsed() < Duration::from_secs(60), "nobody listens any more");
        std::thread::yield_now();
    }
}

/// An answer: status, further header lines (each with its line end), body.
#[derive(Clone)]
pub struct Answer(pub u16, pub String, pub String);

impl Answer {
    /// An answer without headers of its own.
    pub fn of(status: u16, body: &str) -> Self {
        Self(status, String::new(), body.to_owned())
    }
}

/// What was asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET /path`
    pub what: String,
    pub headers: Vec<String>,
    pub body: String,
}

pub struct Server {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    stopping: AtomicBool,
    /// Every answer,
    answer: Mutex<Answer>,
    /// once these have been given.
    first: Mutex<VecDeque<Answer>>,
    requests: Mutex<Vec<Request>>,
}

impl Server {
    /// Starts a server that answers 200 and `ok`.
    pub fn start() -> Self {
        let shared = Arc::new(Shared {
            stopping: AtomicBool::new(false),
            answer: Mutex::new(Answer::of(200, "ok\n")),
            first: Mutex::default(),
            requests: Mutex::default(),
        });
        let (address, listener) = listen();
        let mut server = Self { address, shared, thread: None };
        server.serve(listener);
        server
    }

    /// Stops it: connections are refused from now on.
    pub fn stop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the thread, which then sees that it is to stop.
        drop(TcpStream::connect(self.address).expect("it listens"));
        self.thread.take().expect("it runs").join().expect("it ends");
        wait_until_free(self.address);
    }

    /// Starts it again, at the same address.
    pub fn come_back(&mut self) {
        self.shared.stopping.store(false, Ordering::SeqCst);
        // The standard library sets SO_REUSEADDR, so what lingers of old connections is in nobody's way.
        self.serve(TcpListener::bind(self.address).expect("the port is still free"));
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

    /// Sets the answer from now on.
    pub fn answers(&self, answer: Answer) {
        *self.shared.answer.lock().expect("no panic") = answer;
    }

    /// Sets answers to give first, once each.
    pub fn answers_first(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.first.lock().expect("no panic").extend(answers);
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// How many requests were answered.
    pub fn answered(&self) -> usize {
        self.shared.requests.lock().expect("no panic").len()
    }

    /// The last request.
    #[track_caller]
    pub fn asked(&self) -> Request {
        self.shared.requests.lock().expect("no panic").last().expect("a request").clone()
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
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a request");
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        lines.push(line.to_owned());
    }
    let length = lines.iter().find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
    reader.read_exact(&mut body).expect("a body");
    let mut lines = lines.into_iter();
    let what = lines.next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    let request = Request { what, headers: lines.collect(), body: String::from_utf8(body).expect("text") };

    let first = shared.first.lock().expect("no panic").pop_front();
    let Answer(status, headers, body) = first.unwrap_or_else(|| shared.answer.lock().expect("no panic").clone());
    shared.requests.lock().expect("no panic").push(request);
    let length = body.len();
    // A client that has been ended meanwhile needs no answer.
    drop(write!(
        stream,
        "HTTP/1.1 {status} Status\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    ));
}
