//! The control plane: etcd, API server, controllers, scheduler.

use super::inside::Cluster;
use super::node::{ADDRESS, SERVICES};
use crate::dist::wait_for;

/// Flags from `name=value` words; `KEYS/x` is a file of the cluster's keys.
fn flags(cluster: &Cluster, text: &str) -> Vec<String> {
    let keys = cluster.file("keys");
    text.split_whitespace().map(|word| format!("--{}", word.replace("KEYS", &keys))).collect()
}

pub(super) fn start(cluster: &Cluster) -> Result<(), String> {
    let etcd = flags(
        cluster,
        &format!(
            "data-dir={} listen-client-urls=https://127.0.0.1:2379 advertise-client-urls=https://127.0.0.1:2379 \
             listen-peer-urls=http://127.0.0.1:2380 unsafe-no-fsync client-cert-auth trusted-ca-file=KEYS/ca.crt \
             cert-file=KEYS/etcd.crt key-file=KEYS/etcd.key",
            cluster.file("etcd")
        ),
    );
    cluster.daemon("etcd", &cluster.parts.debian.join("usr/bin/etcd"), &etcd)?;
    let kubernetes = |name: &str| cluster.parts.kubernetes.join(name);
    let api = flags(
        cluster,
        &format!(
            "etcd-servers=https://127.0.0.1:2379 etcd-cafile=KEYS/ca.crt etcd-certfile=KEYS/admin.crt etcd-keyfile=KEYS/admin.key \
             bind-address=0.0.0.0 advertise-address={ADDRESS} secure-port=6443 service-cluster-ip-range={SERVICES} \
             tls-cert-file=KEYS/apiserver.crt tls-private-key-file=KEYS/apiserver.key client-ca-file=KEYS/ca.crt \
             tls-min-version=VersionTLS13 authorization-mode=Node,RBAC enable-admission-plugins=NodeRestriction \
             anonymous-auth=false allow-privileged=true service-account-issuer=https://kubernetes.default.svc \
             service-account-key-file=KEYS/accounts.pub service-account-signing-key-file=KEYS/accounts.key \
             kubelet-client-certificate=KEYS/to-kubelet.crt kubelet-client-key=KEYS/to-kubelet.key \
             kubelet-certificate-authority=KEYS/ca.crt kubelet-preferred-address-types=InternalIP \
             requestheader-client-ca-file=KEYS/front-ca.crt requestheader-allowed-names=front-proxy-client \
             requestheader-username-headers=X-Remote-User requestheader-group-headers=X-Remote-Group \
             requestheader-extra-headers-prefix=X-Remote-Extra- proxy-client-cert-file=KEYS/front.crt \
             proxy-client-key-file=KEYS/front.key endpoint-reconciler-type=lease"
        ),
    );
    cluster.daemon("apiserver", &kubernetes("kube-apiserver"), &api)?;
    wait_for("the API server", || cluster.k(&["get", "--raw", "/readyz"]).is_ok())?;
    let of = |name: &str| {
        let conf = cluster.file(&format!("{name}.conf"));
        format!(
            "kubeconfig={conf} authentication-kubeconfig={conf} authorization-kubeconfig={conf} bind-address=127.0.0.1 leader-elect=false"
        )
    };
    let controllers = format!(
        "{} service-account-private-key-file=KEYS/accounts.key root-ca-file=KEYS/ca.crt use-service-account-credentials \
         cluster-signing-cert-file=KEYS/ca.crt cluster-signing-key-file=KEYS/ca.key",
        of("controllers")
    );
    cluster.daemon("controllers", &kubernetes("kube-controller-manager"), &flags(cluster, &controllers))?;
    cluster.daemon("scheduler", &kubernetes("kube-scheduler"), &flags(cluster, &of("scheduler")))?;
    wait_for("the default service account", || cluster.k(&["get", "serviceaccount", "default"]).is_ok())
}
