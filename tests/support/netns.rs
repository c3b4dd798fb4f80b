//! Tests in network namespaces of their own.
//!
//! Each test runs in a thread that has left the host's namespace; what it starts and the sockets it opens belong
//! to the new one, and the kernel removes the namespace with its last user. So tests run side by side, and none
//! can touch the host's network. A second namespace, for the far end of a wire, is another such thread.

use std::io::{self, BufRead, BufReader, Write};
use std::net::IpAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;
use serde_json::Value;

/// Runs `test` in a fresh network namespace with the loopback up.
///
/// Without the privilege for one, it fails where the environment has `CI=true`, and otherwise says that it
/// skipped and why.
pub fn in_namespace<F: FnOnce() + Send + 'static>(test: F) {
    let thread = thread::Builder::new()
        .name(thread::current().name().unwrap_or("test").to_owned())
        .spawn(move || match unshare(CloneFlags::CLONE_NEWNET) {
            Ok(()) => {
                ip("link set lo up");
                test();
            }
            Err(why) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
                panic!("no network namespace to test in: {why}");
            }
            Err(why) => {
                // Not eprintln!: the test harness would keep that of a test that passes to itself.
                let name = thread::current().name().unwrap_or("test").to_owned();
                let said = writeln!(
                    io::stderr(),
                    "SKIPPED {name}: no network namespace to test in: {why}; run it as root"
                );
                said.expect("standard error is there");
            }
        })
        .expect("a thread for the namespace");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs `ip` with these arguments, separated by blanks, in the namespace of this thread.
pub fn ip(arguments: &str) -> String {
    let output = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .expect("ip runs");
    assert!(
        output.status.success(),
        "ip {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("ip prints text")
}

/// What `ip -j` prints, parsed.
pub fn ip_json(arguments: &str) -> Value {
    let text = ip(&format!("-j -d {arguments}"));
    if text.trim().is_empty() {
        return Value::Array(Vec::new());
    }
    serde_json::from_str(&text).expect("ip -j prints JSON")
}

/// A pair of connected devices in this namespace, set down.
pub fn veth(one: &str, other: &str) {
    ip(&format!("link add {one} type veth peer name {other}"));
}

/// Everything that an applier could have changed, as text: links with their flags, masters and count of carrier
/// changes, addresses in order, the routes of all tables.
pub fn dump() -> String {
    let mut links = ip_json("-s -s link show");
    let mut addresses = ip_json("address show");
    for of in [&mut links, &mut addresses] {
        keep_what_stays(of);
    }
    let routes = ip_json("-4 route show table all");
    let routes6 = ip_json("-6 route show table all");
    format!("{links:#}\n{addresses:#}\n{routes:#}\n{routes6:#}")
}

/// Takes away what changes by itself: a bridge's timers, and of the counters all but that of carrier changes.
fn keep_what_stays(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(changes) = map.get("tx").and_then(|tx| tx.get("carrier_changes")) {
                let changes = changes.clone();
                map.clear();
                map.insert("carrier_changes".to_owned(), changes);
            }
            map.retain(|key, _| !key.ends_with("_timer") && key != "stats");
            map.values_mut().for_each(keep_what_stays);
        }
        Value::Array(values) => values.iter_mut().for_each(keep_what_stays),
        _ => {}
    }
}

/// The addresses of a device, as "192.0.2.1/24" in the kernel's order, without link-local IPv6 ones.
pub fn addresses(device: &str) -> Vec<String> {
    let shown = ip_json(&format!("address show dev {device}"));
    let infos = shown[0]["addr_info"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    infos
        .iter()
        .filter(|info| info["scope"] != "link")
        .map(|info| format!("{}/{}", info["local"].as_str().unwrap(), info["prefixlen"]))
        .collect()
}

/// One attribute of a device, as `ip -j link` has it.
pub fn link_attribute(device: &str, attribute: &str) -> Value {
    ip_json(&format!("link show dev {device}"))[0][attribute].clone()
}

/// Whether there is a device of that name.
pub fn exists(device: &str) -> bool {
    ip_json("link show")
        .as_array()
        .is_some_and(|links| links.iter().any(|link| link["ifname"] == device))
}

/// Waits until no address is tentative and nothing has changed for longer than the kernel takes to report a
/// carrier (up to a second: `linkwatch_schedule_work()` in `net/core/link_watch.c`).
pub fn settle() {
    let mut last = String::new();
    for _ in 0..20 {
        let now = dump();
        if now == last && ip("-6 address show tentative").trim().is_empty() {
            return;
        }
        last = now;
        thread::sleep(Duration::from_millis(1100));
    }
    panic!("the network does not settle: {last}");
}

/// What the kernel reports of links, addresses and routes while `act` runs, a line an event. A comparison of
/// before and after would not see what is removed and added again.
pub fn events(act: impl FnOnce()) -> Vec<String> {
    let mut monitor = Command::new("ip")
        .args(["-o", "monitor", "link", "address", "route"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("ip runs");
    let output = BufReader::new(monitor.stdout.take().expect("it is piped"));
    let (report, reports) = channel();
    let reader = thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if report.send(line).is_err() {
                break;
            }
        }
    });
    // Marks show that it listens, and where the events of `act` end.
    let mark = |address: &str| {
        ip(&format!("address add {address} dev lo"));
        ip(&format!("address del {address} dev lo"));
    };
    loop {
        mark("127.9.9.8/32");
        if reports.recv_timeout(Duration::from_millis(100)).is_ok() {
            break;
        }
    }
    act();
    mark("127.9.9.9/32");
    let mut events = Vec::new();
    loop {
        let line = reports
            .recv_timeout(Duration::from_secs(10))
            .expect("the mark is reported");
        if line.contains("127.9.9.9") {
            break;
        }
        if !line.contains("127.9.9.8") {
            events.push(line);
        }
    }
    monitor.kill().expect("it runs");
    monitor.wait().expect("it ends");
    reader.join().expect("it only reads");
    events
}

/// Whether `to` answers a ping from this namespace.
pub fn answers(to: IpAddr) -> bool {
    Command::new("ping")
        .args(["-n", "-c", "1", "-W", "5", &to.to_string()])
        .output()
        .expect("ping runs")
        .status
        .success()
}

/// A program that runs until this value goes away.
pub struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Gives the calling thread, and what it starts, a `/dev` and a `/sys` of its own: macvtap devices have their
/// `/dev/tapN`, with the number that the link has in its namespace, in one `/dev` for all, and `/sys` shows the links of
/// the namespace in which it was mounted. Nothing but ncf makes such a node there then.
pub fn private_devices() {
    unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
    let script = "mount --make-rprivate / && mount -t sysfs own /sys && mount -t tmpfs own /mnt && \
        cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/net /mnt && \
        mkdir /mnt/shm && mount --bind /dev/shm /mnt/shm && mount --move /mnt /dev";
    let status = Command::new("sh").args(["-ec", script]).status();
    assert!(status.expect("sh runs").success(), "{script}");
}

/// Gives the calling thread, and what it starts, an own `/etc`, a copy, and own empty directories in place of
/// `empty`: a DHCP client writes to all of them. Programs that are in `without` are not there any more.
pub fn private_files(empty: &[&str], without: &[&str]) {
    unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
    let mount = |arguments: &[&str]| {
        let status = Command::new("mount").args(arguments).status();
        assert!(status.expect("mount runs").success(), "mount {arguments:?}");
    };
    mount(&["--make-rprivate", "/"]);
    mount(&["-t", "tmpfs", "etc", "/mnt"]);
    let copied = Command::new("cp").args(["-a", "/etc/.", "/mnt"]).status();
    assert!(copied.expect("cp runs").success());
    mount(&["--move", "/mnt", "/etc"]);
    for directory in empty.iter().filter(|it| Path::new(it).is_dir()) {
        mount(&["-t", "tmpfs", "own", directory]);
    }
    for program in without {
        for directory in ["/usr/sbin", "/usr/bin", "/sbin", "/bin"] {
            let path = format!("{directory}/{program}");
            if Path::new(&path).is_file() {
                mount(&["--bind", "/dev/null", &path]);
            }
        }
    }
}

/// Another host: a second namespace, which goes away with this value.
pub struct Peer {
    id: i32,
    work: Option<Sender<String>>,
    done: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    /// A namespace of its own, with the loopback up.
    pub fn new() -> Self {
        let (work, to_do) = channel::<String>();
        let (finished, done) = channel();
        let (tell, id) = channel();
        let thread = thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("a second namespace");
            ip("link set lo up");
            tell.send(gettid().as_raw()).expect("the test listens");
            for arguments in to_do {
                ip(&arguments);
                finished.send(()).expect("the test listens");
            }
        });
        Self {
            id: id.recv().expect("the second namespace is there"),
            work: Some(work),
            done,
            thread: Some(thread),
        }
    }

    /// Moves a device of the calling thread's namespace there.
    pub fn take(&self, device: &str) {
        ip(&format!("link set {device} netns {}", self.id));
    }

    /// A program that is to run there.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let namespace = format!("--net=/proc/{}/task/{}/ns/net", std::process::id(), self.id);
        command.args([&namespace, program]);
        command
    }

    /// Starts a program there, in the mount namespace of the calling thread; it ends with what this returns.
    pub fn start(&self, program: &str, arguments: &[&str]) -> Server {
        let namespace = format!("--net=/proc/{}/ns/net", self.id);
        let server = Command::new("nsenter")
            .args([&namespace, "--", program])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Server(server.expect("nsenter runs"))
    }

    /// Runs `ip` there.
    pub fn ip(&self, arguments: &str) {
        let work = self.work.as_ref().expect("it lives");
        work.send(arguments.to_owned()).expect("it lives");
        self.done.recv().expect("ip succeeds over there");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.work.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
