//! One HTTP request over real TCP: enough to ask a guest for a page.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// What the server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The body as text.
    pub body: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The connection failed, or nothing came in time.
    #[error("cannot fetch http://127.0.0.1:{port}{path}")]
    Io {
        /// The host's port.
        port: u16,
        /// The path asked for.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// What came is not HTTP.
    #[error("http://127.0.0.1:{port}{path} answered something that is not HTTP: {start:?}")]
    NotHttp {
        /// The host's port.
        port: u16,
        /// The path asked for.
        path: String,
        /// How the answer starts.
        start: String,
    },
}

/// Fetches a path from a port of this host. Each read and write may take `timeout`.
///
/// # Errors
/// No connection, no answer in time, or an answer that is not HTTP.
pub fn get(port: u16, path: &str, timeout: Duration) -> Result<Response, HttpError> {
    let answer = exchange(port, path, timeout).map_err(|source| HttpError::Io {
        port,
        path: path.into(),
        source,
    })?;
    parse(&answer).ok_or_else(|| HttpError::NotHttp {
        port,
        path: path.into(),
        start: answer.chars().take(40).collect(),
    })
}

/// HTTP/1.0 (RFC 1945): the server closes the connection after the answer and does not chunk it.
fn exchange(port: u16, path: &str, timeout: Duration) -> io::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn parse(answer: &str) -> Option<Response> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    Some(Response {
        status,
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::{HttpError, get};
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    fn serve_once(answer: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let length = stream.read(&mut request).unwrap();
            assert!(request[..length].starts_with(b"GET /x?y=1 HTTP/1.0\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        port
    }

    fn fetch(answer: &'static str) -> Result<super::Response, HttpError> {
        get(serve_once(answer), "/x?y=1", Duration::from_secs(5))
    }

    #[test]
    fn an_answer_has_a_status_and_a_body() {
        let response = fetch("HTTP/1.1 404 Not Found\r\nA: b\r\n\r\nno\r\n\r\nmore").unwrap();
        assert_eq!(
            (response.status, response.body.as_str()),
            (404, "no\r\n\r\nmore")
        );
    }

    #[test]
    fn rubbish_is_shown() {
        let error = fetch("SSH-2.0-x\r\n\r\n").unwrap_err();
        assert!(matches!(error, HttpError::NotHttp { .. }));
        assert!(error.to_string().contains("SSH-2.0"), "{error}");
    }

    #[test]
    fn a_closed_port_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert!(matches!(
            get(port, "/", Duration::from_secs(5)),
            Err(HttpError::Io { .. })
        ));
    }
}
