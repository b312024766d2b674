//! Certificates for servers on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::postgres::temporary_folder;
use crate::{Outcome, Trouble};

/// An authority's certificate, and one that it signed for 127.0.0.1; gone when dropped.
#[derive(Debug)]
pub struct Certificates(PathBuf);

impl Certificates {
    /// Makes them with `openssl`.
    ///
    /// # Errors
    /// There is no `openssl`, or it fails.
    pub fn make() -> Outcome<Self> {
        let certificates = Self(temporary_folder("certificates")?);
        let text = "[req]\ndistinguished_name = name\n[name]\n[authority]\nbasicConstraints = critical, CA:TRUE\n\
            [server]\nbasicConstraints = critical, CA:FALSE\nsubjectAltName = IP:127.0.0.1\n";
        std::fs::write(certificates.0.join("openssl.cnf"), text)
            .map_err(|error| Trouble::because("cannot write openssl.cnf", &error))?;
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

    /// The file that a client has to know.
    pub fn authority(&self) -> String {
        self.0.join("authority.pem").display().to_string()
    }

    /// What a Redis server has to be told to speak TLS at a port.
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

fn openssl(folder: &Path, command: &str) -> Outcome<()> {
    let output = Command::new("openssl").args(command.split(' ')).current_dir(folder).output();
    let output = output.map_err(|error| Trouble::because("cannot run openssl", &error))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Trouble::new(format!("openssl: {}", String::from_utf8_lossy(&output.stderr).trim())))
}
