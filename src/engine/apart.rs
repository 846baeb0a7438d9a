//! Units that compute on a thread of their own, beside the one that moves packets.
//!
//! With barriers, what units fire in a step depends on which spikes have come, and not on when: spikes are integrated while
//! packets are still moving, and both sides meet only where the next step is fired. So the result is that of one thread.

use super::drive::{Live, Spikes};
use super::marks::Marks;
use super::packets::Spike;
use super::recorder::Silent;
use super::run::Run;
use super::{EngineError, Machine, Outcome};
use crate::hardware::{Discipline, Updates};
use crate::units::StageId;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Spikes that are passed on together.
const SPIKES: usize = 1024;

/// Packets that slices have taken.
#[derive(Debug, Default)]
struct Taken {
    /// The slice, the stage that has sent it, and where its spikes end, for each packet.
    packets: Vec<(usize, StageId, usize)>,
    spikes: Vec<Spike>,
}

/// What all slices fire in a step.
#[derive(Debug, Default)]
struct Fired {
    spikes: Vec<Spike>,
    /// Where those of each slice end.
    ends: Vec<usize>,
    /// The neurons of each slice with a potential other than zero, on chips that count them.
    charged: Vec<Marks>,
}

/// What the units are to do.
#[derive(Debug)]
enum Order {
    Take(Taken),
    Fire(u32),
}

/// The units as the thread that moves packets sees them.
#[derive(Debug)]
struct Apart {
    orders: Sender<Order>,
    answers: Receiver<Fired>,
    taken: Taken,
    /// The step that was fired last, and what was.
    step: u32,
    fired: Fired,
}

impl Apart {
    fn pass_on(&mut self) {
        // Nobody listens any more only if the units' thread has panicked, which whoever waits for it will hear.
        let _ = self.orders.send(Order::Take(std::mem::take(&mut self.taken)));
    }
}

impl Spikes for Apart {
    fn receive(&mut self, slice: usize, source: StageId, spikes: &[Spike]) {
        self.taken.spikes.extend_from_slice(spikes);
        self.taken.packets.push((slice, source, self.taken.spikes.len()));
        if self.taken.spikes.len() >= SPIKES {
            self.pass_on();
        }
    }

    fn fire(&mut self, slice: usize, step: u32, fired: &mut Vec<Spike>) {
        if step != self.step {
            self.pass_on();
            let _ = self.orders.send(Order::Fire(step));
            (self.step, self.fired) = (step, self.answers.recv().unwrap_or_default());
        }
        let Some(&end) = self.fired.ends.get(slice) else { return };
        let begin = if slice == 0 { 0 } else { self.fired.ends[slice - 1] };
        fired.extend_from_slice(&self.fired.spikes[begin..end]);
    }

    fn charged(&mut self, slice: usize, marks: &mut Marks) {
        if let Some(charged) = self.fired.charged.get(slice) {
            marks.merge(charged);
        }
    }
}

impl Live<'_> {
    /// Follows orders until there are no more.
    fn serve(mut self, machine: &Machine, orders: &Receiver<Order>, answers: &Sender<Fired>) -> Self {
        for order in orders {
            match order {
                Order::Take(taken) => {
                    let mut begin = 0;
                    for (slice, source, end) in taken.packets {
                        self.receive(slice, source, &taken.spikes[begin..end]);
                        begin = end;
                    }
                }
                Order::Fire(step) => {
                    if answers.send(self.fire_all(machine, step)).is_err() {
                        break;
                    }
                }
            }
        }
        self
    }

    fn fire_all(&mut self, machine: &Machine, step: u32) -> Fired {
        let mut all = Fired::default();
        for (slice, seat) in machine.seats.iter().enumerate() {
            self.fire(slice, step, &mut all.spikes);
            all.ends.push(all.spikes.len());
            if machine.timing.core.updates == Updates::Potential {
                let mut marks = Marks::new(seat.part.neurons());
                self.charged(slice, &mut marks);
                all.charged.push(marks);
            }
        }
        all
    }
}

impl Machine<'_> {
    /// As [`Machine::live`], on a chip with barriers with a second thread for what units compute.
    ///
    /// # Errors
    /// As [`Machine::live`].
    pub fn live_apart(&self, image: &[u8], time_steps: u32, steps: u32) -> Result<Outcome, EngineError> {
        if self.timing.step.discipline != Discipline::Barrier {
            return self.live(image, time_steps, steps);
        }
        let live = Live::new(self, image, time_steps, steps)?;
        let (orders, inbox) = channel();
        let (outbox, answers) = channel();
        std::thread::scope(|scope| {
            let units = scope.spawn(move || live.serve(self, &inbox, &outbox));
            let drive = Apart { orders, answers, taken: Taken::default(), step: 0, fired: Fired::default() };
            let ran = Run::new(self, drive, &mut Silent, time_steps, steps).finish().map(|(activity, _)| activity);
            let live = units.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok(Outcome { activity: ran?, trace: Some(live.into_trace()) })
        })
    }
}
