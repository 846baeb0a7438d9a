//! What a spiking network costs on a neuromorphic chip, and whether the chip still computes what the network was trained to compute.

pub mod account;
pub mod action;
pub mod activity;
pub mod cli;
pub mod compile;
pub mod constants;
pub mod convert;
pub mod engine;
pub mod functional;
pub mod graph;
pub mod hardware;
pub mod images;
pub mod load;
pub mod network;
pub mod program;
pub mod reach;
pub mod report;
pub mod sample;
pub mod summary;
pub mod trace;
pub mod units;
