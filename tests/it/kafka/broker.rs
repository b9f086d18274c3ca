//! A broker as far as its door: it speaks TLS, and lets in whoever proves by
//! SCRAM-SHA-512 to know the password. What is asked of it after that it does not
//! answer.
//!
//! The exchange is that of RFC 5802 within the frames of Kafka's protocol: a length,
//! then the number of the request, its version, and what the client calls it.

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::{digest, hmac, pbkdf2};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Nothing but its certificate, which is for 127.0.0.1, is secret here.
const CERTIFICATE: &str = include_str!("../../../src/http/fixtures/server.pem");
const KEY: &str = include_str!("../../../src/http/fixtures/server.key");

const SASL_HANDSHAKE: i16 = 17;
const API_VERSIONS: i16 = 18;
const SASL_AUTHENTICATE: i16 = 36;
const UNSUPPORTED_VERSION: i16 = 35;
const SASL_AUTHENTICATION_FAILED: i16 = 58;

const SALT: &[u8] = b"salt of the test";
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();

/// Who came, and whether they were let in.
#[derive(Clone, Default)]
pub(super) struct Visitors(Arc<Mutex<Vec<(String, bool)>>>);

impl Visitors {
    pub(super) fn so_far(&self) -> Vec<(String, bool)> {
        self.0.lock().unwrap().clone()
    }
}

/// Starts one for this password; returns its address.
pub(super) fn start(password: &'static str) -> (String, Visitors) {
    let tls = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap(),
        )
        .unwrap();
    let tls = Arc::new(tls);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let visitors = Visitors::default();
    let guests = visitors.clone();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let tls = ServerConnection::new(Arc::clone(&tls)).unwrap();
            let stream = StreamOwned::new(tls, connection.unwrap());
            let guests = guests.clone();
            // A client that does not trust the certificate hangs up, as does one
            // that is done.
            thread::spawn(move || receive(stream, password, &guests).ok());
        }
    });
    (address, visitors)
}

fn receive(mut stream: impl Read + Write, password: &str, guests: &Visitors) -> io::Result<()> {
    let mut exchange = Exchange::default();
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
        stream.read_exact(&mut frame)?;
        let mut rest = frame.as_slice();
        let (request, version) = (short(&mut rest), short(&mut rest));
        let correlation = take(&mut rest, 4).to_vec();
        let client = short(&mut rest);
        take(&mut rest, usize::try_from(client).unwrap_or(0));

        let mut body = Vec::new();
        match request {
            // The later versions are written in another way; asked for one of
            // these, a broker answers in the first.
            API_VERSIONS => {
                let error = if version == 0 { 0 } else { UNSUPPORTED_VERSION };
                put(&mut body, error);
                let known = [
                    (0, 2),
                    (1, 4),
                    (3, 1),
                    (SASL_HANDSHAKE, 1),
                    (API_VERSIONS, 0),
                    (SASL_AUTHENTICATE, 0),
                ];
                body.extend(i32::try_from(known.len()).unwrap().to_be_bytes());
                for (request, newest) in known {
                    put(&mut body, request);
                    put(&mut body, 0);
                    put(&mut body, newest);
                }
            }
            SASL_HANDSHAKE => {
                put(&mut body, 0);
                body.extend(1_i32.to_be_bytes());
                put(&mut body, 13);
                body.extend(b"SCRAM-SHA-512");
            }
            SASL_AUTHENTICATE => {
                take(&mut rest, 4);
                let said = std::str::from_utf8(rest).unwrap();
                if let Some(answer) = exchange.answer(said, password, guests) {
                    put(&mut body, 0);
                    put(&mut body, -1);
                    body.extend(i32::try_from(answer.len()).unwrap().to_be_bytes());
                    body.extend(answer.as_bytes());
                } else {
                    put(&mut body, SASL_AUTHENTICATION_FAILED);
                    put(&mut body, -1);
                    body.extend(0_i32.to_be_bytes());
                }
            }
            _ => continue,
        }
        let length = i32::try_from(correlation.len() + body.len()).unwrap();
        stream.write_all(&[&length.to_be_bytes(), correlation.as_slice(), &body].concat())?;
        stream.flush()?;
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, after) = rest.split_at(length);
    *rest = after;
    taken
}

fn short(rest: &mut &[u8]) -> i16 {
    i16::from_be_bytes(take(rest, 2).try_into().unwrap())
}

fn put(body: &mut Vec<u8>, number: i16) {
    body.extend(number.to_be_bytes());
}

/// What has been said so far: the client's first message and the answer to it.
#[derive(Default)]
struct Exchange {
    user: String,
    first: String,
    answered: String,
}

impl Exchange {
    /// None where the proof is wrong.
    fn answer(&mut self, said: &str, password: &str, guests: &Visitors) -> Option<String> {
        if let Some(first) = said.strip_prefix("n,,") {
            let (user, nonce) = first.strip_prefix("n=").unwrap().split_once(",r=").unwrap();
            user.clone_into(&mut self.user);
            first.clone_into(&mut self.first);
            let salt = BASE64_STANDARD.encode(SALT);
            self.answered = format!("r={nonce}of-the-test,s={salt},i={ITERATIONS}");
            return Some(self.answered.clone());
        }
        let (without_proof, proof) = said.rsplit_once(",p=").unwrap();
        let mut salted = [0; digest::SHA512_OUTPUT_LEN];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA512,
            ITERATIONS,
            SALT,
            password.as_bytes(),
            &mut salted,
        );
        let exchanged = format!("{},{},{without_proof}", self.first, self.answered);
        let client_key = mac(&salted, b"Client Key");
        let stored = digest::digest(&digest::SHA512, &client_key);
        let signature = mac(stored.as_ref(), exchanged.as_bytes());
        let proof = BASE64_STANDARD.decode(proof).unwrap();
        let shown: Vec<u8> = proof
            .iter()
            .zip(&signature)
            .map(|(proof, signature)| proof ^ signature)
            .collect();
        let is_right = shown == client_key;
        guests.0.lock().unwrap().push((self.user.clone(), is_right));
        let server_key = mac(&salted, b"Server Key");
        let verifier = BASE64_STANDARD.encode(mac(&server_key, exchanged.as_bytes()));
        is_right.then(|| format!("v={verifier}"))
    }
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA512, key);
    hmac::sign(&key, text).as_ref().to_vec()
}
