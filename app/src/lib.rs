pub fn keep_islands() {}
