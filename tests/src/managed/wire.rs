//! RESP, as much of it as lies between a client and a server: commands as words, replies as they came.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

/// A command and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command(pub(super) Vec<Vec<u8>>);

impl Command {
    /// One made here.
    pub(super) fn of(words: &[&str]) -> Self {
        Self(words.iter().map(|word| word.as_bytes().to_vec()).collect())
    }

    /// A word in lower case; empty: there is none.
    pub(super) fn word(&self, at: usize) -> String {
        self.0.get(at).map(|word| String::from_utf8_lossy(word).to_lowercase()).unwrap_or_default()
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("*{}\r\n", self.0.len()).into_bytes();
        for word in &self.0 {
            bytes.extend_from_slice(&bulk(word));
        }
        bytes
    }
}

/// A string of any bytes.
pub(super) fn bulk(bytes: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// A list of what is in that form already.
pub(super) fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [format!("*{}\r\n", items.len()).into_bytes(), items.concat()].concat()
}

/// A number.
pub(super) fn integer(number: u64) -> Vec<u8> {
    format!(":{number}\r\n").into_bytes()
}

/// An error.
pub(super) fn error(said: &str) -> Vec<u8> {
    format!("-{said}\r\n").into_bytes()
}

/// What an error says; none: the reply is none.
pub(super) fn said(reply: &[u8]) -> Option<String> {
    let line = reply.strip_prefix(b"-")?;
    Some(String::from_utf8_lossy(line).trim_end().to_owned())
}

/// The next command; none: the client has gone.
pub(super) async fn command(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Command>> {
    let mut line = Vec::new();
    if from.read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    if line.first() != Some(&b'*') {
        let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        return Ok(Some(Command(words.map(<[u8]>::to_vec).collect())));
    }
    let mut words = Vec::new();
    for _ in 0..length(&line)?.unwrap_or(0) {
        let mut line = Vec::new();
        from.read_until(b'\n', &mut line).await?;
        let mut word = vec![0; length(&line)?.unwrap_or(0) + 2];
        from.read_exact(&mut word).await?;
        word.truncate(word.len() - 2);
        words.push(word);
    }
    Ok(Some(Command(words)))
}

/// The next reply, whole, whatever is in it.
pub(super) async fn reply(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Vec<u8>> {
    let (mut bytes, mut left) = (Vec::new(), 1);
    while left > 0 {
        let begin = bytes.len();
        if from.read_until(b'\n', &mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        left -= 1;
        let line = &bytes[begin..];
        match line[0] {
            b'$' | b'!' | b'=' => {
                if let Some(length) = length(line)? {
                    let end = bytes.len();
                    bytes.resize(end + length + 2, 0);
                    from.read_exact(&mut bytes[end..]).await?;
                }
            }
            b'*' | b'~' | b'>' => left += length(line)?.unwrap_or(0),
            b'%' => left += 2 * length(line)?.unwrap_or(0),
            // Attributes go before what they are of.
            b'|' => left += 2 * length(line)?.unwrap_or(0) + 1,
            _ => {}
        }
    }
    Ok(bytes)
}

/// The number after the type; none: there is nothing, not even an empty one.
fn length(line: &[u8]) -> io::Result<Option<usize>> {
    let digits = line.get(1..).and_then(|rest| std::str::from_utf8(rest).ok()).map(str::trim_end);
    match digits {
        Some("-1") => Ok(None),
        Some(digits) => digits.parse().map(Some).map_err(|_| io::ErrorKind::InvalidData.into()),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}
