//! The number of allocations per intent: a guard against a regression that no clock would show on a shared machine.

use allocation_counter::measure;
use conductor_core::intent::{Policy, judge};
use conductor_core::scrub;
use std::hint::black_box;

const INTENT: &[u8] =
    br#"{"intent_type": "scaling", "target": "cnf-simulator", "namespace": "oran-sim", "replicas": 3,
  "reason": "High load detected", "source": "planner", "correlation_id": "scale-2024-001"}"#;

#[test]
fn judging_an_intent_allocates_a_bounded_number_of_times() {
    let judged = measure(|| drop(black_box(judge(black_box(INTENT), Policy::default()))));
    assert!(judged.count_total <= 100, "{} allocations", judged.count_total);
    assert!(judged.bytes_total <= 4_096, "{} bytes", judged.bytes_total);
    assert_eq!(judged.count_current, 0, "nothing stays");
}

#[test]
fn a_line_for_the_log_is_one_allocation_and_its_growth() {
    let line = measure(|| drop(black_box(scrub::line(black_box("Processed by worker 0 in 2ms"), 120))));
    assert!(line.count_total <= 2, "{} allocations", line.count_total);
}
