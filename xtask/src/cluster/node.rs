//! The node: mounts and network of the namespaces, containerd, kubelet, kube-proxy.

use super::image;
use super::inside::Cluster;
use crate::dist::{output, wait_for};
use serde_json::json;
use std::process::Command;

pub(super) const NAME: &str = "node1";
/// Addresses from the block for benchmarks (RFC 2544), which no network of the machine uses; nothing leaves the namespace.
pub(super) const ADDRESS: &str = "198.18.0.1";
pub(super) const SERVICES: &str = "198.19.0.0/24";
pub(super) const API_SERVICE: &str = "198.19.0.1";
const PODS: &str = "198.18.1.0/24";

/// What the kubelet sets for the whole machine: in its namespace a file lies over each of them.
const SYSCTLS: [(&str, &str); 4] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
];

/// Mounts and network of the namespaces that this process is the first of.
pub(super) fn namespace(cluster: &Cluster) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    let mount = |words: &[&str]| output(Command::new("mount").args(words)).map(|_| ());
    mount(&["--make-rprivate", "/"])?;
    mount(&["--make-rshared", "/"])?;
    for directory in ["/run", "/var/lib", "/var/log"] {
        mount(&["-t", "tmpfs", "tmpfs", directory])?;
    }
    for (name, value) in SYSCTLS {
        let file = cluster.run.join(name.replace('/', "."));
        std::fs::write(&file, format!("{value}\n")).map_err(failed)?;
        mount(&["--bind", &file.display().to_string(), &format!("/proc/sys/{name}")])?;
    }
    // Without servers to ask, a lookup of a name fails at once instead of waiting.
    let names = format!("127.0.0.1 localhost\n{ADDRESS} {NAME}\n");
    for (name, text) in [("resolv.conf", ""), ("hosts", names.as_str())] {
        std::fs::write(cluster.run.join(name), text).map_err(failed)?;
        mount(&["--bind", &cluster.file(name), &format!("/etc/{name}")])?;
    }
    let address = format!("{ADDRESS}/24");
    for words in [
        &["link", "set", "lo", "up"][..],
        // A bridge without ports: not every kernel has dummy devices.
        &["link", "add", "node0", "type", "bridge"],
        &["addr", "add", &address, "dev", "node0"],
        &["link", "set", "node0", "up"],
        &["route", "add", "default", "dev", "node0"],
    ] {
        output(Command::new("ip").args(words))?;
    }
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").map_err(failed)
}

pub(super) fn start(cluster: &Cluster) -> Result<(), String> {
    configure(cluster).map_err(|error| error.to_string())?;
    let bin = cluster.parts.debian.join("usr/bin");
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let config = format!("--config {}", cluster.file("containerd.toml"));
    cluster.daemon("containerd", &bin.join("containerd"), &words(&config))?;
    wait_for("containerd", || ctr(cluster, &["version"]).is_ok())?;
    for archive in image::archives(&cluster.run) {
        ctr(cluster, &["images", "import", &archive.display().to_string()])?;
    }
    let kubelet = format!(
        "--config {} --kubeconfig {} --hostname-override {NAME} --node-ip {ADDRESS} --root-dir {} --cert-dir {}",
        cluster.file("kubelet.json"),
        cluster.file("kubelet.conf"),
        cluster.file("kubelet"),
        cluster.file("kubelet-certificates")
    );
    cluster.daemon("kubelet", &cluster.parts.kubernetes.join("kubelet"), &words(&kubelet))?;
    let proxy = format!("--config {}", cluster.file("proxy.json"));
    cluster.daemon("proxy", &cluster.parts.kubernetes.join("kube-proxy"), &words(&proxy))?;
    wait_for("the node to be ready", || {
        cluster.k(&["wait", "--for=condition=Ready", "node/node1", "--timeout=1s"]).is_ok()
    })
}

pub(super) fn ctr(cluster: &Cluster, words: &[&str]) -> Result<String, String> {
    let mut command = Command::new(cluster.parts.debian.join("usr/bin/ctr"));
    output(command.args(["--address", &cluster.file("containerd.sock"), "--namespace", "k8s.io"]).args(words))
}

fn configure(cluster: &Cluster) -> std::io::Result<()> {
    let file = |name: &str| cluster.file(name);
    let containerd = format!(
        "version = 2\nroot = \"{0}/containerd/root\"\nstate = \"{0}/containerd/state\"\n[grpc]\naddress = \"{0}/containerd.sock\"\n\
         [plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"localhost/pause:1\"\n\
         # Without CAP_SYS_RESOURCE no process may be protected from the killer of the kernel.\nrestrict_oom_score_adj = true\n\
         [plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = \"{1}/usr/lib/cni\"\nconf_dir = \"{0}/cni\"\n\
         [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\nruntime_type = \"io.containerd.runc.v2\"\n\
         [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\nSystemdCgroup = false\n\
         BinaryName = \"{1}/usr/sbin/runc\"\n",
        cluster.run.display(),
        cluster.parts.debian.display()
    );
    std::fs::write(file("containerd.toml"), containerd)?;
    std::fs::create_dir_all(file("cni"))?;
    let network = json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [{
        "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
        "ipam": {"type": "host-local", "dataDir": file("cni-addresses"), "ranges": [[{"subnet": PODS}]], "routes": [{"dst": "0.0.0.0/0"}]},
    }]});
    std::fs::write(file("cni/10-pods.conflist"), network.to_string())?;
    let kubelet = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": false}, "webhook": {"enabled": true}, "x509": {"clientCAFile": file("keys/ca.crt")}},
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": file("keys/kubelet.crt"), "tlsPrivateKeyFile": file("keys/kubelet.key"),
        "cgroupDriver": "cgroupfs", "failCgroupV1": false, "failSwapOn": false,
        "containerRuntimeEndpoint": format!("unix://{}", file("containerd.sock")),
        "podLogsDir": file("pod-logs"), "resolvConf": file("resolv.conf"), "syncFrequency": "5s",
        // The images are imported and must not be removed for space.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%", "nodefs.inodesFree": "1%"},
        "enforceNodeAllocatable": ["pods"],
    });
    std::fs::write(file("kubelet.json"), kubelet.to_string())?;
    let proxy = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "nftables",
        "hostnameOverride": NAME, "clientConnection": {"kubeconfig": file("proxy.conf")}, "clusterCIDR": PODS,
        "bindAddress": "127.0.0.1", "healthzBindAddress": "127.0.0.1:10256", "metricsBindAddress": "127.0.0.1:10249",
        // Only the machine's first network namespace has these values.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    });
    std::fs::write(file("proxy.json"), proxy.to_string())
}
