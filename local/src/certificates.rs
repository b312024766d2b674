//! Certificates for servers on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::folders::temporary_folder;

/// An authority's certificate, and one that it signed for 127.0.0.1. Dropping them deletes them.
#[derive(Debug)]
pub struct Certificates(PathBuf);

impl Certificates {
    /// Makes them with `openssl`.
    ///
    /// # Errors
    /// There is no `openssl`, or it fails.
    pub fn make() -> Result<Self> {
        let certificates = Self(temporary_folder("certificates")?);
        let text = "[req]\ndistinguished_name = name\n[name]\n[authority]\nbasicConstraints = critical, CA:TRUE\n\
            [server]\nbasicConstraints = critical, CA:FALSE\nsubjectAltName = IP:127.0.0.1\n";
        std::fs::write(certificates.0.join("openssl.cnf"), text).context("cannot write openssl.cnf")?;
        let key = "-newkey rsa:2048 -nodes -config openssl.cnf";
        let sign = "-req -days 2 -CA authority.pem -CAkey authority.key -CAcreateserial";
        for command in [
            format!(
                "req -x509 {key} -extensions authority -days 2 -subj /CN=authority -keyout authority.key -out authority.pem"
            ),
            format!("req -new {key} -subj /CN=server -keyout server.key -out server.csr"),
            format!("x509 {sign} -in server.csr -out server.pem -extfile openssl.cnf -extensions server"),
        ] {
            openssl(&certificates.0, &command)?;
        }
        Ok(certificates)
    }

    /// Writes a file beside the certificates and returns its path.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn file(&self, name: &str, text: &str) -> Result<String> {
        let path = self.0.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path.display().to_string())
    }

    /// Returns the files of the server's certificate and of its key.
    pub fn server(&self) -> [String; 2] {
        ["server.pem", "server.key"].map(|name| self.0.join(name).display().to_string())
    }

    /// Returns the file of the authority's certificate, which a client has to trust.
    pub fn authority(&self) -> String {
        self.0.join("authority.pem").display().to_string()
    }

    /// Returns the lines of configuration with which a Redis server speaks TLS at a port.
    pub fn configuration(&self, port: u16) -> Vec<String> {
        let file = |name: &str| self.0.join(name).display().to_string();
        vec![
            format!("tls-port {port}"),
            format!("tls-cert-file {}", file("server.pem")),
            format!("tls-key-file {}", file("server.key")),
            format!("tls-ca-cert-file {}", file("authority.pem")),
            "tls-auth-clients no".into(),
        ]
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        // What cannot be removed stays in the temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn openssl(folder: &Path, command: &str) -> Result<()> {
    let output = Command::new("openssl").args(command.split(' ')).current_dir(folder).output();
    let output = output.context("cannot run openssl")?;
    if output.status.success() {
        return Ok(());
    }
    bail!("openssl: {}", String::from_utf8_lossy(&output.stderr).trim())
}
