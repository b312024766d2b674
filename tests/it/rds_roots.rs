//! The authorities of RDS that the programs are built with, and the program that renews them.

use std::path::Path;
use std::process::{Command, Output};

use conversation_local::workspace;
use conversation_tests::installed;

const FOLDER: &str = "core/data";

fn program(arguments: &[&str]) -> Output {
    let program = workspace().join(FOLDER).join("rds_roots.py");
    Command::new("python3").arg(program).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn known() -> String {
    std::fs::read_to_string(workspace().join(FOLDER).join("rds-roots.pem")).unwrap()
}

/// The file with two regions alone, which are looked at sooner.
fn two() -> String {
    let known = known();
    let parts = known.trim_end().split("\n\n");
    let wanted = parts.filter(|part| {
        !part.starts_with("region: ")
            || part.starts_with("region: eu-central-1\n")
            || part.starts_with("region: eu-west-1\n")
    });
    wanted.collect::<Vec<_>>().join("\n\n") + "\n"
}

/// A certificate that is signed by itself, as somebody would make who wants to be taken for Amazon.
fn forged(folder: &Path, region: &str, days: u32) -> String {
    let file = folder.join(format!("{region}-{days}.pem"));
    let subject = format!(
        "/C=US/O=Amazon Web Services, Inc./OU=Amazon RDS/ST=WA/CN=Amazon RDS {region} Root CA RSA2048 G1/L=Seattle"
    );
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", &subject, "-keyout", "/dev/null"])
        .args(["-days", &days.to_string(), "-out"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", said(&made));
    file.display().to_string()
}

#[test]
fn each_is_a_root_of_amazon_rds_signed_by_itself_and_good_for_another_year() {
    if installed("openssl").is_none() {
        return;
    }
    let checked = program(&["check"]);
    assert!(checked.status.success(), "{}", said(&checked));
    assert_eq!(
        said(&checked).contains("days old"),
        known().lines().any(|line| line.starts_with("as of: ") && is_old(line)),
        "{}",
        said(&checked)
    );
}

/// Whether a day is more than a year ago, as `date` counts.
fn is_old(line: &str) -> bool {
    let day = line.trim_start_matches("as of: ");
    let seconds = Command::new("date").args(["-d", day, "+%s"]).output().unwrap().stdout;
    let seconds: u64 = String::from_utf8_lossy(&seconds).trim().parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    now - seconds > 366 * 86_400
}

#[test]
fn what_is_renewed_keeps_what_was_known_and_takes_nothing_that_is_wrong() {
    if installed("openssl").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roots.pem");
    std::fs::write(&file, two()).unwrap();
    let file = file.display().to_string();
    let renew = |bundle: &str| program(&["--file", &file, "renew", "--as-of", "2020-01-01", bundle]);

    let stranger = conversation_tests::certificates().unwrap();
    let unchanged = renew(&stranger.authority());
    assert!(unchanged.status.success(), "{}", said(&unchanged));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), two(), "authorities of others are passed over");
    for (bundle, why) in [
        (forged(folder.path(), "eu-central-1", 9_000), "another one than is known"),
        (forged(folder.path(), "xy-nowhere-9", 9_000), "has no more than RSA2048"),
        (forged(folder.path(), "xy-nowhere-9", 300), "expires within a year"),
    ] {
        let refused = renew(&bundle);
        assert!(!refused.status.success() && said(&refused).contains(why), "{why}: {}", said(&refused));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), two());
    }
    std::fs::write(&file, two().replacen("region: eu-west-1\n", "region: eu-west-9\n", 1)).unwrap();
    let moved = program(&["--file", &file, "check"]);
    assert!(!moved.status.success() && said(&moved).contains("not as"), "{}", said(&moved));
}
