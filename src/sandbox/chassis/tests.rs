//! The chassis through real HTTP, with a world that only echoes.
