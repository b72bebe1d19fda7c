//! The locks a child puts on itself before it looks at a single byte of the source.
//!
//! Both Landlock and seccomp are needed: Landlock alone leaves sockets and processes open, seccomp
//! alone can't tell one file from another.

use std::collections::BTreeMap;

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter_all_threads,
};

use super::protocol::Layers;

/// What a child may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) memory_bytes: u64,
    pub(super) cpu_seconds: Option<u64>,
}

/// Locks the process up as far as the system allows, and says how far that was.
pub(super) fn lock_down(limits: &Limits) -> Layers {
    // The parent's end is the child's end.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    Layers {
        limits: limit(limits),
        no_new_privileges: rustix::thread::set_no_new_privs(true).is_ok(),
        landlock: forbid_files_and_network(),
        seccomp: forbid_system_calls(),
    }
}

fn limit(limits: &Limits) -> bool {
    let both = |value| Rlimit {
        current: Some(value),
        maximum: Some(value),
    };
    let mut wanted = vec![
        (Resource::As, limits.memory_bytes),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nofile, 16),
    ];
    wanted.extend(limits.cpu_seconds.map(|seconds| (Resource::Cpu, seconds)));
    wanted
        .into_iter()
        .all(|(resource, value)| setrlimit(resource, both(value)).is_ok())
}

/// A Landlock ruleset that handles everything and allows nothing.
fn forbid_files_and_network() -> bool {
    let abi = ABI::V6;
    let restricted = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(abi)))
        .and_then(|rules| rules.scope(Scope::from_all(abi)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self);
    restricted.is_ok_and(|status| status.ruleset == RulesetStatus::FullyEnforced)
}

/// What decoding and encoding in threads needs of the kernel, and nothing more.
const ALLOWED: &[i64] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_ppoll,
    libc::SYS_recvmsg,
    libc::SYS_recvfrom,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_getcpu,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_rseq,
    libc::SYS_set_tid_address,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_tgkill,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_prctl,
    libc::SYS_prlimit64,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_restart_syscall,
    libc::SYS_membarrier,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Calls of older architectures only.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[i64] = &[libc::SYS_poll, libc::SYS_arch_prctl, libc::SYS_time];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[i64] = &[];

fn forbid_system_calls() -> bool {
    let programs = || -> Result<[BpfProgram; 2], seccompiler::BackendError> {
        // The allow-list last: it does not allow further filters.
        Ok([no_clone3()?, allow_list()?])
    };
    programs().is_ok_and(|programs| programs.iter().all(|p| apply_filter_all_threads(p).is_ok()))
}

fn errno(code: i32) -> SeccompAction {
    SeccompAction::Errno(code.unsigned_abs())
}

/// Everything not on the list fails with `EPERM`: FFmpeg's and glibc's code copes with that.
fn allow_list() -> Result<BpfProgram, seccompiler::BackendError> {
    let always = ALLOWED
        .iter()
        .chain(ALLOWED_HERE)
        .map(|call| (*call, Vec::new()));
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = always.collect();
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    let makes_a_thread = SeccompCondition::new(
        0,
        SeccompCmpArgLen::Qword,
        SeccompCmpOp::MaskedEq(thread),
        thread,
    )?;
    rules.insert(
        libc::SYS_clone,
        vec![SeccompRule::new(vec![makes_a_thread])?],
    );
    rules.insert(libc::SYS_clone3, Vec::new());
    filter(rules, errno(libc::EPERM), SeccompAction::Allow)
}

/// `clone3` takes its flags from memory, where a filter can't look. `ENOSYS` makes glibc use
/// `clone` instead.
fn no_clone3() -> Result<BpfProgram, seccompiler::BackendError> {
    let rules = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    filter(rules, SeccompAction::Allow, errno(libc::ENOSYS))
}

fn filter(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    on_match: SeccompAction,
) -> Result<BpfProgram, seccompiler::BackendError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, otherwise, on_match, architecture)?.try_into()
}

/// Tries, inside the locks, what a hijacked child would try. For tests and for whoever doubts.
pub fn self_test() -> serde_json::Value {
    let limits = Limits {
        memory_bytes: 6 << 30,
        cpu_seconds: None,
    };
    let layers = lock_down(&limits);
    let thread = std::thread::spawn(|| 1).join().is_ok();
    serde_json::json!({
        "layers": layers,
        "reads_a_file": std::fs::read("/etc/passwd").is_ok(),
        "writes_a_file": std::fs::write("/tmp/headwater-self-test", "x").is_ok(),
        "lists_a_folder": std::fs::read_dir("/").is_ok(),
        "opens_a_socket": std::net::UdpSocket::bind("127.0.0.1:0").is_ok(),
        "connects": std::net::TcpStream::connect("127.0.0.1:9").is_ok(),
        "opens_a_local_socket": std::os::unix::net::UnixStream::pair().is_ok(),
        "starts_a_program": std::process::Command::new("/bin/true").spawn().is_ok(),
        "starts_a_thread": thread,
    })
}
