//! A web server on a port of its own, over TLS or without, which answers as a test says.
//!
//! Owns: framing, also the wrong one. Never: asserts.

use std::sync::{Arc, Mutex, OnceLock};

use rcgen::CertifiedKey;
use rcgen::generate_simple_self_signed;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// With its query.
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Whole {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
    /// A length, and fewer bytes.
    Cut {
        length: u64,
        body: Vec<u8>,
    },
    /// Pieces of this until nobody takes them.
    Endless(Vec<u8>),
    /// A head, a byte, then nothing more.
    Stalled,
}

impl Answer {
    pub(crate) fn of(body: impl Into<Vec<u8>>) -> Self {
        Self::Whole { status: 200, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Whole { status, headers: Vec::new(), body: b"no".to_vec() }
    }

    pub(crate) fn redirect(target: impl Into<String>) -> Self {
        let headers = vec![("location", target.into())];
        Self::Whole { status: 302, headers, body: Vec::new() }
    }

    pub(crate) fn challenge(challenge: impl Into<String>) -> Self {
        let headers = vec![("www-authenticate", challenge.into())];
        Self::Whole { status: 401, headers, body: Vec::new() }
    }
}

type Answers = dyn Fn(&Asked, u16) -> Answer + Send + Sync;

/// Gone when dropped.
pub(crate) struct WebServer {
    pub(crate) port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    _accepting: JoinSet<()>,
}

impl WebServer {
    /// Answers get the port, for what names the server itself.
    pub(crate) async fn https(
        answers: impl Fn(&Asked, u16) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(acceptor()), Arc::new(answers)).await
    }

    pub(crate) async fn http(
        answers: impl Fn(&Asked, u16) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start(None, Arc::new(answers)).await
    }

    async fn start(tls: Option<TlsAcceptor>, answers: Arc<Answers>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut accepting = JoinSet::new();
        let log = Arc::clone(&asked);
        accepting.spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let server = (tls.clone(), Arc::clone(&answers), Arc::clone(&log));
                serving.spawn(serve(stream, server, port));
            }
        });
        Self { port, asked, _accepting: accepting }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// The certificate of every such server, as PEM.
pub(crate) fn root() -> String {
    identity().cert.pem()
}

fn identity() -> &'static CertifiedKey<rcgen::KeyPair> {
    static IDENTITY: OnceLock<CertifiedKey<rcgen::KeyPair>> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        generate_simple_self_signed(names).unwrap()
    })
}

fn acceptor() -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(identity().signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity().cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

type Server = (Option<TlsAcceptor>, Arc<Answers>, Arc<Mutex<Vec<Asked>>>);

async fn serve(stream: TcpStream, (tls, answers, log): Server, port: u16) {
    let Some(tls) = tls else { return converse(stream, &answers, &log, port).await };
    // Whoever does not take the certificate goes.
    let Ok(stream) = tls.accept(stream).await else { return };
    converse(stream, &answers, &log, port).await;
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    answers: &Arc<Answers>,
    log: &Mutex<Vec<Asked>>,
    port: u16,
) {
    let mut stream = BufReader::new(stream);
    let Some(asked) = read_head(&mut stream).await else { return };
    log.lock().unwrap().push(asked.clone());
    // A client that has heard enough closes; that is its right.
    let _heard = write(stream.get_mut(), answers(&asked, port)).await;
    let _closed = stream.get_mut().shutdown().await;
}

async fn read_head(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Asked> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        lines.push(line.to_owned());
    }
    let path = lines.first()?.split(' ').nth(1)?.to_owned();
    let header = |wanted: &str| {
        lines
            .iter()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(name, value)| name.eq_ignore_ascii_case(wanted).then(|| value.to_owned()))
    };
    Some(Asked { path, authorization: header("authorization") })
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), answer: Answer) -> std::io::Result<()> {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n";
    match answer {
        Answer::Whole { status, headers, body } => {
            let mut head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n");
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await
        }
        Answer::Cut { length, body } => {
            let head = format!("{HEAD}content-length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await
        }
        Answer::Endless(piece) => {
            let head = format!("{HEAD}transfer-encoding: chunked\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            loop {
                stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
                stream.write_all(&piece).await?;
                stream.write_all(b"\r\n").await?;
                stream.flush().await?;
            }
        }
        Answer::Stalled => {
            stream.write_all(format!("{HEAD}content-length: 2\r\n\r\nx").as_bytes()).await?;
            stream.flush().await?;
            std::future::pending().await
        }
    }
}
