# The disk address packet at its documented place; the assembler patches count and LBA.
    .org {PACKET}
packet:
    .byte 16, 0
    .word 0                         # sectors
    .word 0, {STAGE_SEGMENT}        # buffer, offset and segment
    .quad 0                         # first LBA
    .org 510
    .word 0xaa55
    .code64
