//! The promises of vigie, one file each, all in one binary.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "what a test does not expect is its failure"
)]

mod a_call_is_recorded;
mod a_clock_that_is_set;
mod a_refused_account_is_left_alone;
mod a_wrong_clock_accuses_nobody;
mod acts_of_people;
mod alerts_reach_people;
mod analyse;
mod architecture;
mod blindness_is_short;
mod calls_in_bad_weather;
mod cli;
mod demo;
mod every_second_is_accounted_for;
mod fuzz;
mod impairment_is_the_truth;
mod incidents_have_one_cause;
mod journal_keeps_every_fact;
mod loopback;
mod never_an_emergency_number;
mod no_test_is_no_pass;
mod outage_ends_soon;
mod pages;
mod real_alerts;
mod real_asterisk;
mod real_browser;
mod real_calls;
mod real_detection;
mod real_faults;
mod real_heartbeat;
mod real_impairment;
mod real_kills;
mod real_sipp;
mod real_storm;
mod real_transports;
mod real_tshark;
mod real_vantage;
mod real_voice;
mod real_whole_plant;
mod reload_tells_the_truth;
mod restart_keeps_the_outage;
mod sample_config;
mod seen_from_several_places;
mod session_timers;
mod simulated_days;
mod simulation;
mod sip_device_habits;
mod sip_torture;
mod spares_the_callers;
mod support;
mod systemd_hears_the_service;
mod telephony_states;
mod the_document_tells_the_limits;
mod worse_than_its_own_week;
