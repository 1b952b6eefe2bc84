# Entered by the BIOS at 0000:7C00 (or 07C0:0000) in real mode, boot drive in DL.
    .section .boot, "awx"
    .code16
    .global boot_sector
boot_sector:
    cli
    .byte 0xea                      # far jump: CS = 0
    .word real_start, 0
real_start:
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7c00
    sti
    cld
    call serial_init

    # INT 13h extensions there? (Enhanced Disk Drive 3.0, AH=41h)
    mov ah, 0x41
    mov bx, 0x55aa
    int 0x13
    mov si, offset no_extensions
    jc print_and_halt
    cmp bx, 0xaa55
    jne print_and_halt

    # Read the stage (AH=42h, packet at DS:SI).
    mov si, offset packet
    mov ah, 0x42
    int 0x13
    mov si, offset read_error
    jc print_and_halt

    mov si, offset no_stage
    cmp dword ptr [{STAGE_MAGIC}], {MAGIC_LOW}
    jne print_and_halt
    cmp dword ptr [{STAGE_MAGIC} + 4], {MAGIC_HIGH}
    jne print_and_halt
    .byte 0xea
    .word {STAGE}, 0

no_extensions:
    .asciz "unibeam: the BIOS cannot read this disk by LBA\r\n"
read_error:
    .asciz "unibeam: disk read error\r\n"
no_stage:
    .asciz "unibeam: no boot stage on the disk\r\n"
