//! Layers, origins, bounds: tables through one `check` function.

use super::*;
use conductor_core::{Code, Runs};
use std::path::{Path, PathBuf};
use std::time::Duration;

fn config(flags: &[(&'static str, &str)], environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let flags = flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    let variables = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Config::new(layer(&flags, &Environment::of(variables)?)?)
}

/// The configuration with these flags, which name paths, for the tests of other rooms.
pub(crate) fn config_with(flags: &[(&'static str, &Path)]) -> Config {
    let flags: Vec<_> = flags.iter().map(|(key, path)| (*key, path.to_str().unwrap())).collect();
    config(&flags, &[]).unwrap()
}

#[test]
fn defaults_are_the_specified_ones() {
    let config = config(&[], &[]).unwrap();
    assert_eq!(
        (config.fixed.handoff.to_str(), config.fixed.out.to_str()),
        (Some("./handoff"), Some("./out"))
    );
    assert_eq!(
        (&config.fixed.porch, config.fixed.porch_given, config.fixed.mode),
        (&Runs::Program("porch".into()), false, Mode::Direct)
    );
    assert_eq!((config.live.scheduler.debounce, config.fixed.workers), (Duration::from_millis(500), 2));
    assert_eq!(
        (config.live.run.timeout, config.live.run.grace),
        (Duration::from_secs(30), Duration::from_secs(5))
    );
    assert_eq!((config.live.max_file_size, config.live.retention), (10_485_760, Duration::from_hours(168)));
    assert!(
        !config.fixed.once && config.live.scheduler.rate.is_none() && config.live.scheduler.max_attempts == 3
    );
}

#[test]
fn flag_beats_environment_beats_file_beats_default() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("c.toml");
    std::fs::write(&path, "mode = \"structured\"\nworkers = 3\ndebounce = \"1s\"\nmax_file_size = 100\n")
        .unwrap();
    let path = path.to_str().unwrap();
    let environment =
        [("CONDUCTOR_MAX_WORKERS", "4"), ("CONDUCTOR_DEBOUNCE", "2s"), ("CONDUCTOR_CONFIG", path)];
    let config = config(&[("debounce", "3s")], &environment).unwrap();
    assert_eq!((config.fixed.mode, config.fixed.workers), (Mode::Structured, 4));
    assert_eq!((config.live.scheduler.debounce, config.live.max_file_size), (Duration::from_secs(3), 100));
    let origin = |key| config.raw[key].1.to_string();
    assert_eq!(origin("debounce"), "flag");
    assert_eq!(origin("workers"), "environment CONDUCTOR_MAX_WORKERS");
    assert_eq!(origin("mode"), format!("file {path}"));
    assert_eq!(origin("out"), "default");
}

#[test]
fn nonsense_is_refused_with_the_origin() {
    let cases = [
        ("mode", "fast"),
        ("debounce", "soon"),
        ("debounce", "-1s"),
        ("workers", "0"),
        ("workers", "65"),
        ("workers", "two"),
        ("timeout", "0"),
        ("max-file-size", "10XB"),
        ("max-file-size", "0"),
        ("retention", "59m"),
        ("retention", "744h"),
        ("rate", "fast"),
        ("rate", "NaN"),
        ("rate", "-1"),
        ("once", "maybe"),
        ("log-level", "loud"),
        ("log-format", "xml"),
        ("period", "99ms"),
        ("period", "61m"),
        ("handoff", ""),
        ("max-attempts", "0"),
        ("grace-period", "2h"),
    ];
    for (key, value) in cases {
        let error = config(&[(key, value)], &[]).map(|_| ()).expect_err(value);
        assert_eq!(error.code(), Code::BadValue, "{key}={value}");
        assert!(error.to_string().starts_with(&format!("--{key} (from flag): ")), "{error}");
    }
    assert!(config(&[("period", "0")], &[]).unwrap().live.period == Period::Never);
    assert!(config(&[("retention", "1h")], &[]).is_ok() && config(&[("retention", "720h")], &[]).is_ok());
    let error = config(&[], &[("CONDUCTOR_MAX_FILE_SIZE", "much")]).unwrap_err().to_string();
    assert!(error.contains("environment CONDUCTOR_MAX_FILE_SIZE"), "{error}");
}

#[test]
fn unknown_file_keys_suggest_the_nearest() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("c.toml");
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        config(&[("config", path.to_str().unwrap())], &[]).map(|_| ()).unwrap_err()
    };
    let error = read("debouce = \"1s\"");
    assert_eq!(error.code(), Code::UnknownKey);
    assert!(error.to_string().ends_with("unknown key 'debouce'; did you mean 'debounce'?"), "{error}");
    let error = read("mode = [1]");
    assert_eq!(error.code(), Code::BadValue);
    assert!(error.to_string().contains("an array cannot be the value"), "{error}");
    let error = read("config = \"other.toml\"");
    assert!(error.to_string().contains("unknown key 'config'; it says where this file is"), "{error}");
    assert!(read("confg = \"x\"").to_string().contains("unknown key 'confg'"));
    assert_eq!(read("mode = ").code(), Code::ConfigUnreadable);
    assert_eq!(
        config(&[("config", "/nowhere")], &[]).map(|_| ()).unwrap_err().code(),
        Code::ConfigUnreadable
    );
}

#[test]
fn a_file_may_write_out_defaults_and_put_lists_into_arrays() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("c.toml");
    std::fs::write(&path, "porch = \"porch\"\nlisten = [\"127.0.0.1:9090\", \"[::1]:9090\"]\n").unwrap();
    let of_file = config(&[("config", path.to_str().unwrap())], &[]).unwrap();
    assert!(!of_file.fixed.porch_given, "an absent porch is replaced by the engine, as without the line");
    assert!(config(&[("porch", "porch")], &[]).unwrap().fixed.porch_given);
    let of_flag = config(&[("listen", "127.0.0.1:9090,[::1]:9090")], &[]).unwrap();
    assert_eq!(of_file.fixed.endpoints, of_flag.fixed.endpoints);
}

#[test]
fn changes_are_sorted_into_live_and_restart() {
    let old = config(&[], &[]).unwrap();
    let new = config(&[("timeout", "1s"), ("workers", "4")], &[]).unwrap();
    assert_eq!(new.changes(&old), Changes { live: vec!["timeout"], restart: vec!["workers"] });
}

/// Another value for each setting. Certificate and key are always given, because one is refused without the other.
const OTHERS: &[(&str, &str)] = &[
    ("handoff", "elsewhere"),
    ("porch", "builtin"),
    ("mode", "structured"),
    ("out", "elsewhere"),
    ("once", "true"),
    ("debounce", "1s"),
    ("period", "3s"),
    ("workers", "7"),
    ("timeout", "7s"),
    ("grace-period", "7s"),
    ("max-attempts", "7"),
    ("rate", "7"),
    ("max-file-size", "7"),
    ("pattern", "*.json"),
    ("retention", "7h"),
    ("state-dir", "elsewhere"),
    ("state-key-file", "root.key"),
    ("listen", "127.0.0.1:7"),
    ("health-addr", "127.0.0.1:7"),
    ("metrics-addr", "127.0.0.1:7"),
    ("insecure-listen", "true"),
    ("tls-cert", "elsewhere"),
    ("tls-key", "elsewhere"),
    ("tls-client-ca", "elsewhere"),
    ("token-file", "elsewhere"),
    ("open-page", "true"),
    ("kubernetes", "true"),
    ("instance", "elsewhere"),
    ("kubeconfig", "elsewhere"),
    ("allow-scale-to-zero", "true"),
    ("allow-unsafe-handoff", "true"),
    ("allow-unsafe-porch", "true"),
    ("log-level", "debug"),
    ("log-format", "json"),
    ("confine", "off"),
    ("security-enabled", "true"),
    ("porch-read", "/elsewhere"),
    ("porch-write", "/elsewhere"),
    ("egress", "443"),
    ("limit-memory", "1GB"),
    ("limit-cpu", "1m"),
    ("limit-processes", "7"),
    ("limit-files", "77"),
    ("limit-file-size", "off"),
    ("min-free", "1GB"),
    ("user", "elsewhere"),
    ("porch-user", "elsewhere"),
    ("chroot-enabled", "true"),
    ("encryption-enabled", "false"),
    ("audit-enabled", "false"),
    ("backup-dir", "/elsewhere"),
    ("backup-interval", "off"),
    ("backup-keep", "3"),
    ("backup-recipient", "age1w3tyke4gev25vaxxsvcgqu4484rf6ejpmavs57p6yz6lhy2sfs5swrvwyn"),
];

#[test]
fn a_setting_is_in_live_exactly_when_it_is_declared_so() {
    let given = [("tls-cert", "cert"), ("tls-key", "key"), ("backup-dir", "/backups")];
    let old = config(&given, &[]).unwrap();
    for setting in SETTINGS.iter().filter(|setting| setting.key != "config") {
        let key = setting.key;
        let (_, other) = OTHERS.iter().find(|(name, _)| *name == key).unwrap_or_else(|| panic!("{key}"));
        let new = config(&[&given[..], &[(key, other)]].concat(), &[]).unwrap();
        let mut kept = old.clone();
        kept.reload(new.clone());
        assert_eq!(kept.live, new.live, "{key}: a reload takes all that is live");
        assert_eq!(kept.fixed, old.fixed, "{key}: and nothing else");
        let (named, again) = (new.changes(&old), new.changes(&kept));
        if setting.live {
            assert_ne!(new.live, old.live, "{key} is declared live and not read into Live");
            assert_eq!(new.fixed, old.fixed, "{key} is live and fixed");
            assert_eq!(named, Changes { live: vec![key], restart: vec![] });
            assert_eq!(again, Changes::default(), "{key} is applied and remembered");
        } else {
            assert_eq!(new.live, old.live, "{key} is read into Live and not declared live");
            assert_eq!(named, Changes { live: vec![], restart: vec![key] });
            assert_eq!(again, named, "{key} still needs the restart");
        }
    }
}

#[test]
fn an_empty_variable_is_not_set_whichever_it_is() {
    let variables: Vec<(&str, &str)> =
        SETTINGS.iter().filter_map(|setting| setting.environment).map(|name| (name, "")).collect();
    assert!(variables.len() > 25);
    let config = config(&[], &variables).unwrap();
    assert!(config.raw.values().all(|(_, origin)| *origin == Origin::Default));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn unknown_variables_warn_with_the_nearest_name() {
    for (name, meant) in [
        ("CONDUCTOR_WORKERS", "did you mean CONDUCTOR_MAX_WORKERS?"),
        ("CONDUCTOR_HANDOFF", "did you mean CONDUCTOR_HANDOFF_DIR?"),
        ("CONDUCTOR_LOGLEVEL", "did you mean CONDUCTOR_LOG_LEVEL?"),
        ("CONDUCTOR_TOKENFILE", "did you mean CONDUCTOR_TOKEN_FILE?"),
        ("CONDUCTOR_TIMEOUT", "did you mean CONDUCTOR_PORCH_TIMEOUT?"),
        ("CONDUCTOR_ONCE", "--once has no variable"),
        ("CONDUCTOR_QQQ", "`conductor-loop config show` lists all"),
    ] {
        let warnings = config(&[], &[(name, "1")]).unwrap().warnings;
        let [warning] = warnings.as_slice() else { panic!("{name}: {warnings:?}") };
        assert!(warning.contains(name) && warning.contains(meant), "{warning}");
    }
    let links = [
        ("CONDUCTOR_LOOP_SERVICE_HOST", "10.0.0.7"),
        ("CONDUCTOR_LOOP_SERVICE_PORT_METRICS", "9090"),
        ("CONDUCTOR_LOOP_PORT", "tcp://10.0.0.7:9090"),
        ("CONDUCTOR_LOOP_PORT_9090_TCP_ADDR", "10.0.0.7"),
    ];
    assert_eq!(config(&[], &links).unwrap().warnings.len(), links.len());
    let in_a_pod = [&links[..], &[("KUBERNETES_SERVICE_HOST", "10.0.0.1")]].concat();
    assert!(config(&[], &in_a_pod).unwrap().warnings.is_empty(), "a Service of that name is no mistake");
    assert!(config(&[], &[("CONDUCTOR_INTENT_SEQ", "1")]).unwrap().warnings.is_empty(), "porch has it");
}

#[test]
fn the_specification_s_switch_says_whether_to_confine() {
    let wanted = |confine: &str, switch: &str| {
        let given = [("confine", confine)];
        let given = if confine.is_empty() { &[][..] } else { &given };
        config(given, &[("CONDUCTOR_SECURITY_ENABLED", switch)]).map(|config| config.fixed.confine)
    };
    assert_eq!(wanted("", "").unwrap(), Confine::Auto);
    assert_eq!(wanted("", "false").unwrap(), Confine::Off);
    assert_eq!(wanted("", "true").unwrap(), Confine::Auto);
    assert_eq!(wanted("require", "true").unwrap(), Confine::Require);
    assert_eq!(wanted("off", "false").unwrap(), Confine::Off);
    for (confine, switch) in [("off", "true"), ("auto", "false"), ("require", "false")] {
        let error = wanted(confine, switch).unwrap_err();
        assert!(error.to_string().contains("contradicts --confine"), "{error}");
    }
    assert_eq!(wanted("on", "").unwrap_err().code(), Code::BadValue);
}

#[test]
fn the_name_of_an_instance_needs_no_escape() {
    let name = |value: &str| config(&[("instance", value)], &[]).map(|config| config.fixed.instance);
    assert_eq!(name("").unwrap(), None);
    assert_eq!(name("conductor-loop-0.a_B").unwrap().as_deref(), Some("conductor-loop-0.a_B"));
    for wrong in ["a b", "a\"b", "\n", "é", &"x".repeat(254)] {
        assert_eq!(name(wrong).unwrap_err().code(), Code::BadValue, "{wrong}");
    }
}

#[test]
fn paths_and_ports_for_porch_are_read() {
    let fixed = |key: &'static str, value: &str| config(&[(key, value)], &[]).map(|config| config.fixed);
    let paths = fixed("porch-write", "/var/cache/porch, /tmp").unwrap().porch_write;
    assert_eq!(paths, [PathBuf::from("/var/cache/porch"), PathBuf::from("/tmp")]);
    assert_eq!(fixed("egress", "443, 6443").unwrap().egress, Egress::Ports(vec![443, 6443]));
    assert_eq!(fixed("egress", "none").unwrap().egress, Egress::None);
    for wrong in ["0", "https", "443,", "none,443"] {
        assert_eq!(fixed("egress", wrong).unwrap_err().code(), Code::BadValue, "{wrong}");
    }
}

#[test]
fn the_least_free_space_is_a_size_or_left_to_the_daemon() {
    let with = |value: &str| config(&[("min-free", value)], &[]).map(|config| config.fixed.min_free);
    assert_eq!(config(&[], &[]).unwrap().fixed.min_free, None);
    assert_eq!((with("auto").unwrap(), with("2MB").unwrap()), (None, Some(2 << 20)));
    for value in ["0", "off", "much"] {
        assert!(with(value).unwrap_err().to_string().contains("min-free"), "{value}");
    }
}

#[test]
fn a_link_whose_scheme_contradicts_the_settings_is_refused() {
    let refused = |flags: &[(&'static str, &str)]| config(flags, &[]).unwrap_err().to_string();
    assert!(refused(&[("listen", "https://127.0.0.1:9090")]).contains("--tls-cert"));
    let tls = [("listen", "http://127.0.0.1:9090"), ("tls-cert", "c"), ("tls-key", "k")];
    assert!(refused(&tls).contains("write https"));
    config(&[("listen", "http://127.0.0.1:9090")], &[]).unwrap();
    config(&[("listen", "https://127.0.0.1:9090"), ("tls-cert", "c"), ("tls-key", "k")], &[]).unwrap();
}
