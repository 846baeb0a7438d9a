//! Lanes of a register that are wanted, side by side, where there is no instruction for it.

/// For each choice of eight lanes, those that are wanted, one after the other.
pub(super) static WANTED: [[u32; 8]; 256] = wanted();

const fn wanted() -> [[u32; 8]; 256] {
    let (mut all, mut choice) = ([[0; 8]; 256], 0);
    while choice < 256 {
        let (mut lane, mut count) = (0, 0);
        while lane < 8 {
            if choice >> lane & 1 == 1 {
                all[choice][count] = lane;
                count += 1;
            }
            lane += 1;
        }
        choice += 1;
    }
    all
}
